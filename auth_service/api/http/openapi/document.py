"""The OpenAPI document, completed for people and for programs that generate clients from it.

FastAPI makes most of it. Here operations get short names, answers with problems stand once, and schemas lose what
generators stumble over.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.routing import BaseRoute, Route

from auth_service.api.http.bodies.form_body import TOKEN_FORM
from auth_service.api.http.openapi.problem_responses import WITH_MEMBERS, share
from auth_service.api.http.problems.table import PROBLEMS
from auth_service.api.requests.cookies import COOKIE
from auth_service.api.schemas.examples import SCHEMAS
from auth_service.api.schemas.fields import CHOSEN
from auth_service.api.schemas.problems import ProblemDetails
from auth_service.settings import Settings

TAGS = {
    "accounts": "Register, and look after one's own account and password",
    "links": "What the links of e-mails lead to: a verified or changed e-mail address, a forgotten password",
    "sessions": "Sign in, refresh, sign out, and see one's signed-in devices",
    "factors": "Second factors: authenticator apps and recovery codes, and the second step of a login",
    "passkeys": "Passkeys, where the operator has configured them",
    "keys": "The public keys that verify access tokens, and the metadata of this service",
    "health": "For load balancers and orchestrators",
    "internal": "For gateways and services that verify access tokens; not routed to the world",
    "administration": "Other people's accounts, for users whose role is `admin`; not routed to the world",
    "operations": "For Prometheus; not routed to the world",
}
INFO = {
    "description": "Errors are `application/problem+json` (RFC 9457): programs go by `code`, which may get new values. "
    "Times are RFC 3339 in UTC, ids are UUIDs, lifetimes are seconds. Bodies have at most 16 KiB, and no fields that "
    "are not described here.",
    "license": {"name": "MIT", "identifier": "MIT"},
}
PARAMETERS = {
    "user_id": "The id of the user",
    "factor_id": "The id of the factor",
    "session_id": "The id of the session",
    "is_active": "Whether they may sign in",
    "is_verified": "Whether their e-mail address is verified",
    "per_page": "Users on a page",
}
_REFRESH_COOKIE = {
    "type": "apiKey",
    "in": "cookie",
    "name": COOKIE,
    "description": "The refresh token of a page that sends `X-Auth-Cookie: 1`; browsers keep and send it by themselves",
}


def complete(
    document: dict[str, Any], routes: Sequence[BaseRoute], settings: Settings, more_paths: Mapping[str, Any]
) -> None:
    """Complete FastAPI's document in place, with its paths in the order of `routes` and `more_paths` behind them."""
    contact = {"name": "Whoever runs this service", "url": settings.base_url}
    document["info"].update(INFO, contact=contact)
    document["servers"] = [{"url": settings.base_url, "description": "AUTH_PUBLIC_URL"}]
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    named = [route for route in routes if isinstance(route, Route) and route.include_in_schema]
    _name(document["paths"], named)
    paths = {**document["paths"], **more_paths}
    document["paths"] = {path: paths[path] for path in (*(route.path_format for route in named), *more_paths)}
    components = document["components"]
    components["securitySchemes"]["refresh_cookie"] = _REFRESH_COOKIE
    components["schemas"] = _schemas(components["schemas"])
    components.update(share(document["paths"], settings.base_url))
    for schema in _objects(document):
        _tidy(schema, settings)


def _name(paths: Mapping[str, Any], routes: Sequence[Route]) -> None:
    """Name each operation for the function of its route: `end_other_sessions` is `endOtherSessions`."""
    for route in routes:
        first, *rest = route.name.split("_")
        for method in (route.methods or set()) & {"GET", "POST", "PATCH", "DELETE"}:
            operation = paths[route.path_format][method.lower()]
            operation["operationId"] = first + "".join(map(str.title, rest))
            operation["summary"] = " ".join((first.title(), *rest))
            operation.setdefault("security", [])


def _schemas(made: Mapping[str, Any]) -> dict[str, Any]:
    """All schemas, by name: FastAPI's without its own errors, and with ours and examples."""
    schemas = {name: schema for name, schema in made.items() if name not in {"HTTPValidationError", "ValidationError"}}
    models: list[type[ProblemDetails]] = [ProblemDetails, *WITH_MEMBERS.values()]
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        for part in _objects({"": schema}):
            _open(part)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    schemas["KnownCode"] = {"description": "The codes of this version", "type": "string", "enum": sorted(PROBLEMS)}
    known_or_newer = [{"$ref": "#/components/schemas/KnownCode"}, {"type": "string"}]
    schemas["ProblemCode"] = {"description": "The stable code of a problem", "anyOf": known_or_newer}
    schemas["ProblemDetails"]["properties"]["code"] = {"$ref": "#/components/schemas/ProblemCode"}
    schemas["TokenForm"] = dict(TOKEN_FORM)
    for name, example in SCHEMAS.items():
        schemas[name]["examples"] = [example]
    return dict(sorted(schemas.items()))


def _open(part: dict[str, Any]) -> None:
    """Let a list of known words take any other text too, as clients must not break at the next one."""
    if "enum" in part:
        part["anyOf"] = [{"type": "string", "enum": part.pop("enum")}, {"type": "string"}]
        part.pop("type", None)


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in a part of the document but what examples hold."""
    for name, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(part, dict | list) and name not in {"examples", "example", "value"}:
            yield from _objects(part)
            if isinstance(part, dict):
                yield part


def _tidy(part: dict[str, Any], settings: Settings) -> None:
    """Take away what is noise to generators, and tell what the settings decide."""
    if isinstance(part.get("title"), str) and "version" not in part:
        del part["title"]  # the name again
    part.pop("writeOnly", None)  # of a field that is in no answer
    if part.get("default", "") is None or "const" in part:
        part.pop("default", None)
    if part.get("format") == CHOSEN:
        lengths = {"minLength": settings.password.min_length, "maxLength": settings.password.max_length}
        part.update(description="Lengths are counted in code points, after Unicode NFC", **lengths)
    if part.get("format") in (CHOSEN, "password"):
        del part["format"]  # some generators make of it a type that is sent as stars
    if "in" in part and "schema" in part:  # a parameter: it may be left out, and is never null
        kinds = [kind for kind in part["schema"].get("anyOf", [part["schema"]]) if kind.get("type") != "null"]
        [part["schema"]] = kinds
        if "description" not in part:
            part["description"] = part["schema"].pop("description", None) or PARAMETERS[part["name"]]
