"""Each way in which a field can be wrong gets a code for programs and a sentence for people, and none of Pydantic's.

The schemas of all bodies and query parameters are walked, and each of their constraints is broken on a real server.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core._pydantic_core import list_all_errors

from auth_service.api.http.problems.field_errors import SENTENCES
from auth_service.errors import Reason
from auth_service.main import create_app
from tests.conftest import environment, make_settings
from tests.support.client import PASSWORD
from tests.support.document import document
from tests.support.passkeys import ORIGIN, RP_ID
from tests.support.problems import faults
from tests.support.server import Server, run_command

NOBODY = "01910000-0000-7000-8000-000000000000"  # an id, the same in each process that collects the tests
CANARY = "c4n4ry-0f-s3cr3t"
ROOT = "root@example.com"
SERVER = {
    "AUTH_PASSKEYS__RP_ID": RP_ID,
    "AUTH_PASSKEYS__ORIGINS": ORIGIN,
    "AUTH_THROTTLE__ENABLED": "false",
}
# What is right for a field of this name, where its type does not say.
VALUES: dict[str, Any] = {"id": "AAAA", "rawId": "AAAA", "transports": ["usb"], "role": "user"}
OF_PASSWORDS = {"password", "new_password", "current_password"}
TYPES: dict[str, list[Any]] = {
    "string": [5, 1.5, True, [CANARY], {CANARY: CANARY}],
    "integer": [CANARY, 1.5, True, [CANARY], {CANARY: CANARY}],
    "array": [CANARY, 5, True, {CANARY: CANARY}],
    "object": [CANARY, 5, True, [CANARY]],
}


class Wrong(NamedTuple):
    """A value that a field must refuse, and the reasons of which one is right. Without a value the field is missing."""

    field: str
    value: Any
    reasons: set[str]


MISSING = object()


def _pydantic_wording() -> list[re.Pattern[str]]:
    """The sentences of all errors that Pydantic has, with anything in place of their parts in brackets."""
    sentences = {error["message_template_python"] for error in list_all_errors()} - {"{error}", "Value error, {error}"}
    parted = (re.split(r"\{[^}]*\}", sentence) for sentence in sentences)
    return [re.compile(".*".join(map(re.escape, parts))) for parts in parted if any(len(part) > 3 for part in parts)]


PYDANTIC = _pydantic_wording()


def bodies() -> list[tuple[str, str, type[BaseModel]]]:
    """Method, path and model of each route that takes a body."""
    app = create_app(make_settings("sqlite+aiosqlite://"))
    found = []
    for route in app.routes:
        if isinstance(route, APIRoute) and route.body_field is not None:
            annotation = route.body_field.field_info.annotation
            [model] = [
                kind
                for kind in (annotation, *get_args(annotation))
                if isinstance(kind, type) and issubclass(kind, BaseModel)
            ]
            path = re.sub(r"\{[^}]+\}", NOBODY, route.path)
            found.append((min(route.methods or ()), path, model))
    return found


BODIES = bodies()


def shape_of(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema without references, and without null as another possibility."""
    if "$ref" in schema:
        return shape_of(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return {**shape_of(choice, definitions), "nullable": True}
    return schema


def right(name: str, schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """A value that a field takes."""
    shape = shape_of(schema, definitions)
    if "const" in shape or "enum" in shape:
        return shape.get("const", shape.get("enum", [None])[0])
    if shape.get("type") == "object":
        inner = shape.get("properties", {})
        return {
            name: right(name, of, definitions) for name, of in inner.items() if name in shape.get("required", inner)
        }
    if name in VALUES or shape.get("type") == "array":
        return VALUES[name]
    if shape.get("type") == "integer":
        return -7
    return PASSWORD if name in OF_PASSWORDS else shape.get("examples", ["AAAA"])[0]


def wrongs(name: str, schema: dict[str, Any], definitions: dict[str, Any], *, required: bool) -> Iterator[Wrong]:
    """Every value that breaks a constraint of a field, and of the fields in it."""
    shape = shape_of(schema, definitions)
    leaf, kind = name.rpartition(".")[2], shape.get("type", "string")
    for value in TYPES[kind]:
        yield Wrong(name, value, {"unknown-value"} if shape.keys() & {"const", "enum"} else {"wrong-type"})
    if not shape.keys() & {"nullable", "default"}:
        yield Wrong(name, None, {"required", "unknown-value"})
    if required:
        yield Wrong(name, MISSING, {"required"})
    if kind == "string":
        yield from _wrong_texts(name, leaf, shape)
    if kind == "array":
        yield Wrong(name, VALUES[leaf] * 50, {"too-many"})
        inner = wrongs(f"{name}.0", shape["items"], definitions, required=False)
        yield from (Wrong(wrong.field, [wrong.value], wrong.reasons) for wrong in inner if wrong.value is not None)
    if "properties" in shape:
        yield from _wrong_parts(name, right(leaf, schema, definitions), shape, definitions)


def _wrong_parts(
    name: str, whole: dict[str, Any], shape: dict[str, Any], definitions: dict[str, Any]
) -> Iterator[Wrong]:
    for part, of in shape["properties"].items():
        for wrong in wrongs(f"{name}.{part}", of, definitions, required=part in shape.get("required", ())):
            yield Wrong(wrong.field, changed(whole, part, wrong.value), wrong.reasons)
    yield Wrong(f"{name}.emial", {**whole, "emial": CANARY}, {"unknown-field"})
    yield Wrong(name, {**whole, CANARY + "\x00": 1}, {"unknown-field"})


def _wrong_texts(name: str, leaf: str, shape: dict[str, Any]) -> Iterator[Wrong]:
    yield Wrong(name, CANARY + "\ud800", {"invalid-character", "unknown-value", "invalid-format"})
    if "enum" in shape or "const" in shape:
        yield Wrong(name, CANARY, {"unknown-value"})
        return
    least, longest = shape.get("minLength", 0), shape.get("maxLength")
    if least or "pattern" in shape:
        yield Wrong(name, "", {"required", "password-too-short", "invalid-email", "invalid-format"})
    if longest:
        reasons = {"password-too-long" if leaf in OF_PASSWORDS else "too-long"}
        if shape.get("format") == "base64url":  # of which not every length is one
            reasons.add("invalid-format")
        yield Wrong(name, "x" * (longest + 1), reasons)
        yield Wrong(name, "x" * 15_000, reasons)
    if shape.get("format") == "base64url":
        yield Wrong(name, CANARY + "=", {"invalid-format"})
        yield from [Wrong(name, "A" * 1368, {"too-long"})] if leaf in {"id", "rawId"} else ()
    if leaf == "transports":
        yield Wrong(name, CANARY, {"invalid-format"})


def changed(body: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    rest = {of: kept for of, kept in body.items() if of != name}
    return rest if value is MISSING else {**rest, name: value}


def cases(model: type[BaseModel]) -> Iterator[tuple[Wrong, Any]]:
    """Each wrong value of a body, and the body with it."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    base = {name: right(name, of, definitions) for name, of in schema.get("properties", {}).items()}
    for name, of in schema.get("properties", {}).items():
        for wrong in wrongs(name, of, definitions, required=name in schema.get("required", ())):
            yield wrong, changed(base, name, wrong.value)
    values: list[Any] = [CANARY, "", None, {}]
    for value in values:
        yield Wrong("emial", value, {"unknown-field"}), {**base, "emial": value}
    yield Wrong("body", None, {"unknown-field"}), {**base, "x" * 65: CANARY}
    for whole in TYPES["object"]:
        yield Wrong("body", whole, {"wrong-type"}), whole


def queries() -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Method, path and query parameters of each route that takes some, but for `/internal/verify`."""
    found = []
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            parameters = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
            if parameters and path != "/internal/verify":
                found.append((method.upper(), re.sub(r"\{[^}]+\}", NOBODY, path), parameters))
    return found


def wrong_queries(parameters: list[dict[str, Any]]) -> Iterator[Wrong]:
    """Every query that breaks a constraint of a parameter."""
    for parameter in parameters:
        name, shape = parameter["name"], shape_of(parameter["schema"], {})
        for value, reasons in _wrong_parameters(shape):
            yield Wrong(name, f"{name}={quote(value)}", reasons)
        yield Wrong(name, f"{name}=1&{name}=1", {"repeated"})
        yield Wrong(name, f"{name}={CANARY}&{name}=", {"repeated"})
    yield Wrong("emial", "emial=1", {"unknown-field"})
    yield Wrong("emial", f"emial=1&emial={CANARY}", {"unknown-field"})
    yield Wrong("query", "%00=1", {"unknown-field"})


def _wrong_parameters(shape: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    if shape["type"] == "string":
        yield from _wrong_parameter_texts(shape)
        return
    for text in (CANARY, "1.5.2", "null"):
        yield text, {"wrong-type"}
    yield "", {"required"}
    for text in ("1.5", "9" * 5_000) if shape["type"] == "integer" else ():
        yield text, {"wrong-type"}
    for text in ("nan", "inf", "1e999") if shape["type"] == "number" else ():
        yield text, {"not-finite"}
    if "maximum" in shape:
        yield str(shape["maximum"] + 1), {"too-large"}
        yield str(shape["minimum"] - 1), {"too-small"}


def _wrong_parameter_texts(shape: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    if "maxLength" in shape:
        yield "x" * (shape["maxLength"] + 1), {"too-long"}
        yield CANARY + "\x00", {"invalid-character"}
        yield "", {"required"}
        yield "x" * (shape["minLength"] - 1), {"required", "too-short"}
    times = (CANARY, "2026-01-31T12:00:00", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59", "1", "")
    for text in times if shape.get("format") == "date-time" else ("!" + CANARY,) if "pattern" in shape else ():
        yield text, {"invalid-format"}


QUERIES = queries()
PATHS = {"/auth/sessions": "session_id", "/auth/me/factors": "factor_id"}
ROUTES = [f"{method} {path}" for method, path, _ in (*BODIES, *QUERIES)] + [f"DELETE {path}/x" for path in PATHS]


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An administrator, signed in to a server that has everything that takes a body."""
    folder = tmp_path_factory.mktemp("fields")
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", **SERVER)
    with Server(env, folder) as server:
        server.wait_ready()
        with httpx.Client(base_url=server.base_url, trust_env=False) as http:
            who = {"email": ROOT, "password": PASSWORD}
            http.post("/auth/register", json=who).raise_for_status()
            assert run_command("users", "set-role", ROOT, "admin", env=env, cwd=folder).returncode == 0
            tokens = http.post("/auth/login", json=who).raise_for_status().json()
            http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
            yield http


@pytest.fixture(scope="module")
def refused(admin: httpx.Client) -> dict[str, list[tuple[Wrong, httpx.Response]]]:
    """Each wrong value of each route's body or query, and how it was answered."""
    found: dict[str, list[tuple[Wrong, httpx.Response]]] = {}
    for method, path, model in BODIES:
        answers = found.setdefault(f"{method} {path}", [])
        for wrong, body in cases(model):
            content, json_type = json.dumps(body).encode(), {"Content-Type": "application/json"}
            answers.append((wrong, admin.request(method, path, content=content, headers=json_type)))
    for method, path, parameters in QUERIES:
        answers = found.setdefault(f"{method} {path}", [])
        for wrong in wrong_queries(parameters):
            answers.append((wrong, admin.request(method, f"{path}?{wrong.value}")))
    for path, field in PATHS.items():
        for text in ("x", CANARY, "0" * 32 + "0"):
            answers = found.setdefault(f"DELETE {path}/x", [])
            answers.append((Wrong(field, text, {"invalid-format"}), admin.delete(f"{path}/{text}")))
    return found


@pytest.mark.parametrize("route", ROUTES)
def test_every_constraint_is_refused_by_its_field_in_plain_words(
    refused: dict[str, list[tuple[Wrong, httpx.Response]]], route: str
) -> None:
    assert len(refused[route]) > 1
    for wrong, answer in refused[route]:
        assert answer.status_code == 422, (wrong, answer.text)
        assert CANARY not in answer.text
        assert {(wrong.field, reason) for reason in wrong.reasons} & {*faults(answer)}, (wrong, answer.text)
        for fault in answer.json()["errors"]:
            assert fault["reason"] in {*Reason}
            assert fault.keys() - {"limit"} == {"field", "reason", "detail"}
            assert re.fullmatch(r"[A-Z].+\.", fault["detail"])
            assert fault["detail"] != "Is not what is expected here."
            assert not [wording.pattern for wording in PYDANTIC if wording.fullmatch(fault["detail"].rstrip("."))]


def test_a_query_is_ignored_where_none_is_taken(admin: httpx.Client) -> None:
    """Such as what some clients add against caches: a body is ignored as well where none is taken."""
    taking = {(method, path) for method, path, _ in QUERIES} | {("GET", "/internal/verify")}
    reading = {
        ("GET", re.sub(r"\{[^}]+\}", NOBODY, path)) for path, told in document()["paths"].items() if "get" in told
    }
    with_body = {(method, path) for method, path, _ in BODIES}
    for method, path in sorted((reading | with_body) - taking):
        plain, busted = (admin.request(method, path + query) for query in ("", f"?_=1700000000&access_token={CANARY}"))
        assert (path, busted.status_code) == (path, plain.status_code)
        assert plain.status_code in {200, 404, 409, 415, 422}


def test_every_sentence_is_said_by_some_route(refused: dict[str, list[tuple[Wrong, httpx.Response]]]) -> None:
    answers = [answer for found in refused.values() for _, answer in found]
    said = {fault["detail"] for answer in answers for fault in answer.json().get("errors", ())}
    sentences = [sentence for _, sentence, _ in SENTENCES.values()]
    patterns = {sentence: ".*".join(map(re.escape, sentence.split("{}"))) for sentence in sentences}
    unsaid = {text for text, pattern in patterns.items() if not any(re.fullmatch(pattern, told) for told in said)}
    assert unsaid == set()
