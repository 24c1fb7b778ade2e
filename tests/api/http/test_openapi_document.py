"""The OpenAPI document is for generators: what they make of it has short names, whole types and no surprises."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auth_service.api.http.problems.table import PROBLEMS
from auth_service.main import create_app
from tests.conftest import MakeClient, make_settings
from tests.support.client import Client, bearer
from tests.support.document import document, operations, resolved
from tests.support.sql import run_sql

Way = dict[str, list[str]]
BEARER: Way = {"access_token": []}
INTERNAL: Way = {"internal_token": []}
COOKIE: Way = {"refresh_cookie": []}
# What programs of other people call, and who may: a name that changes here breaks them.
OPERATIONS: dict[str, list[Way]] = {
    "register": [],
    "showAccount": [BEARER],
    "deleteAccount": [BEARER],
    "renameAccount": [BEARER],
    "changePassword": [BEARER],
    "removePassword": [BEARER],
    "verifyEmail": [{}, BEARER],
    "resendVerification": [],
    "requestPasswordReset": [],
    "resetPassword": [],
    "changeEmail": [BEARER],
    "confirmEmail": [{}, BEARER],
    "showEmailChange": [BEARER],
    "stopEmailChange": [BEARER],
    "keepEmail": [],
    "keepFactors": [],
    "exportAccount": [BEARER],
    "listFactors": [BEARER],
    "showFactorReset": [BEARER],
    "stopFactorReset": [BEARER],
    "removeFactor": [BEARER],
    "beginTotp": [BEARER],
    "confirmTotp": [BEARER],
    "renewRecoveryCodes": [BEARER],
    "login": [],
    "refresh": [{}, COOKIE],
    "logout": [{}, COOKIE],
    "revokeToken": [],
    "completeLogin": [],
    "beginEnrolment": [],
    "confirmEnrolment": [],
    "beginPasskeyLogin": [],
    "loginWithPasskey": [],
    "beginPasskey": [BEARER],
    "addPasskey": [BEARER],
    "renamePasskey": [BEARER],
    "listRelatedOrigins": [],
    "listSessions": [BEARER],
    "endOtherSessions": [BEARER],
    "endSession": [BEARER],
    "beginStepUp": [BEARER],
    "stepUp": [BEARER],
    "listKeys": [],
    "showMetadata": [],
    "checkLiveness": [{}, INTERNAL],
    "checkReadiness": [],
    "checkDatabase": [],
    "listRevocations": [INTERNAL],
    "introspectToken": [INTERNAL],
    "listUsers": [BEARER],
    "createUser": [BEARER],
    "countUsers": [BEARER],
    "showUser": [BEARER],
    "changeUserRole": [BEARER],
    "deleteUser": [BEARER],
    "disableUser": [BEARER],
    "enableUser": [BEARER],
    "endUserSessions": [BEARER],
    "resetUserPassword": [BEARER],
    "changeUserEmail": [BEARER],
    "stopUserEmailChange": [BEARER],
    "resetUserFactors": [BEARER],
    "stopUserFactorReset": [BEARER],
    "readMetrics": [INTERNAL],
    "verify": [{**BEARER, **INTERNAL}],
}
SCHEMAS: dict[str, dict[str, Any]] = document()["components"]["schemas"]
COMBINED = {"oneOf", "anyOf", "allOf", "not"}


def objects(tree: Any) -> Iterator[dict[str, Any]]:
    for part in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(part, dict | list):
            yield from objects(part)
    if isinstance(tree, dict):
        yield tree


def answers(operation: dict[str, Any], status: str) -> dict[str, Any]:
    """The schema of an answer in JSON."""
    found: dict[str, Any] = operation["responses"][status]["content"]["application/json"]["schema"]
    return found


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document()["components"]})


def test_operations_are_named_for_what_they_do_and_say_who_may_call_them() -> None:
    found = [(operation["operationId"], operation["security"]) for _, _, operation in operations()]
    assert found == list(OPERATIONS.items())
    schemes = document()["components"]["securitySchemes"]
    assert {scheme for _, security in found for way in security for scheme in way} == set(schemes)
    assert all(scheme["description"] for scheme in schemes.values())


def test_every_operation_has_one_tag_that_is_declared_and_says_what_it_is_for() -> None:
    used = [operation["tags"] for _, _, operation in operations()]
    declared = {tag["name"]: tag["description"] for tag in document()["tags"]}
    assert {name for [name] in used} == set(declared)
    assert all(declared.values())


def test_the_server_is_at_the_public_url() -> None:
    settings = make_settings("sqlite+aiosqlite://", public_url="https://auth.example.com/")
    made = create_app(settings).openapi()
    assert [server["url"] for server in made["servers"]] == ["https://auth.example.com"]
    assert json.dumps(made).count("127.0.0.1") == 0


def test_no_object_is_a_combination_as_well_and_no_combination_says_exactly_one() -> None:
    for schema in objects(document()):
        assert "properties" not in schema or not COMBINED & set(schema)
        assert "oneOf" not in schema


def test_nothing_is_said_that_generators_make_types_of_and_that_means_nothing() -> None:
    for part in objects({**document(), "info": {}, "components": {**document()["components"], "examples": {}}}):
        assert not isinstance(part.get("title"), str)
        assert "writeOnly" not in part
        assert part.get("default", "") is not None
        if part.get("in") in {"query", "header", "path"} and "schema" in part:
            assert "anyOf" not in part["schema"]
            assert part["description"]


def test_no_field_is_of_a_format_that_is_sent_as_stars() -> None:
    """datamodel-code-generator makes Pydantic's SecretStr of `format: password`, and `model_dump_json()` writes that as
    `**********`: a login with it is a 401. The format is only a hint to forms, and they know a field by its name.
    """
    assert not [part for part in objects(document()) if part.get("format") == "password"]


def test_there_is_one_schema_of_tokens_whose_refresh_token_may_be_in_the_cookie() -> None:
    assert [name for name in SCHEMAS if "Browser" in name] == []
    giving = {
        operation["operationId"]: answers(operation, "200").get("$ref", "").rpartition("/")[2]
        for path, _, operation in operations()
        if path in {"/auth/login", "/auth/login/second-factor", "/auth/passkeys/login", "/auth/refresh"}
        or operation["operationId"] == "changePassword"
    }
    assert set(giving.values()) == {"Tokens"}
    tokens = SCHEMAS["Tokens"]
    assert set(tokens["properties"]) - set(tokens["required"]) == {"refresh_token"}
    assert tokens["properties"]["refresh_token"] == {"type": "string"}


def test_the_code_of_a_problem_is_a_known_one_or_any_other_text() -> None:
    known, other = SCHEMAS["ProblemCode"]["anyOf"]
    assert (resolved(known)["enum"], other) == (sorted(PROBLEMS), {"type": "string"})
    assert SCHEMAS["ProblemDetails"]["properties"]["code"] == {"$ref": "#/components/schemas/ProblemCode"}
    new = {"type": "", "title": "", "status": 418, "detail": "", "code": "of-next-year", "request_id": None}
    for response in document()["components"]["responses"].values():
        schema = response["content"]["application/problem+json"]["schema"]
        assert validator(schema).is_valid(new)
        *special, last = schema.get("anyOf", [schema])
        assert last == {"$ref": "#/components/schemas/ProblemDetails"}
        assert last not in special


def test_every_answer_with_a_body_has_a_schema() -> None:
    for _, _, operation in operations():
        for status, found in operation["responses"].items():
            content = resolved(found).get("content", {})
            assert all(media["schema"] for media in content.values())
            is_empty = status in {"204", "304"} or operation["operationId"] in {"revokeToken", "verify"}
            assert bool(content) != (is_empty and int(status) < 400), operation["operationId"]


def test_chosen_passwords_are_as_long_as_the_settings_ask() -> None:
    password = {"min_length": 20, "max_length": 64}
    schemas = create_app(make_settings("sqlite+aiosqlite://", password=password)).openapi()["components"]["schemas"]
    register = schemas["RegisterBody"]["properties"]["password"]
    assert (register["minLength"], register["maxLength"]) == (20, 64)
    assert schemas["LoginBody"]["properties"]["password"]["minLength"] == 1


def test_every_body_has_an_example_and_every_example_is_valid() -> None:
    bodies = {
        name
        for _, _, operation in operations()
        for name in re.findall(r'schemas/(\w+)"', json.dumps(operation.get("requestBody")))
    }
    passkeys = {"PasskeyLoginBody", "NewPasskeyBody"}  # nobody makes one of these by hand
    assert {name for name in bodies if not SCHEMAS[name].get("examples")} == passkeys
    for schema in objects(document()):
        if isinstance(schema.get("examples"), list):
            for example in schema["examples"]:
                validator(schema).validate(example)
    for response in document()["components"]["responses"].values():
        media = response["content"]["application/problem+json"]
        for example in media["examples"].values():
            validator(media["schema"]).validate(resolved(example)["value"])


# What the example of a body is answered with. The tokens, codes and challenges in them are made up.
ANSWERED = {
    "register": 201, "deleteAccount": 204, "renameAccount": 200, "changePassword": 200, "verifyEmail": 400,
    "resendVerification": 202, "requestPasswordReset": 202, "resetPassword": 400, "changeEmail": 202,
    "confirmEmail": 400, "keepEmail": 400, "keepFactors": 400, "confirmTotp": 404, "login": 200, "refresh": 401,
    "logout": 204, "revokeToken": 200, "completeLogin": 401, "beginEnrolment": 401, "confirmEnrolment": 401,
    "beginPasskeyLogin": 200, "renamePasskey": 404, "stepUp": 200, "introspectToken": 200, "createUser": 201,
    "changeUserRole": 200, "changeUserEmail": 409,
}  # fmt: skip


async def test_the_examples_of_bodies_are_taken(make_client: MakeClient, database_url: str) -> None:
    mail = {"host": "127.0.0.1", "sender": "auth@example.com"}
    client = await make_client(
        throttle={"enabled": False}, mail=mail, passkeys={"rp_id": "localhost", "origins": ["http://localhost"]}
    )
    found: dict[str, int] = {}
    for path, method, operation in operations():
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
            schema = resolved(media["schema"].get("anyOf", [media["schema"]])[0])
            examples = schema.get("examples")
            if examples:
                name = operation["operationId"]
                token, user_id = await administrator(client, database_url, f"{name}@example.net")
                where = path.format(user_id=user_id, factor_id=user_id)
                body = {"json" if media_type == "application/json" else "data": examples[0]}
                found[name] = (await client.ask(method, where, headers=bearer(token), **body)).status_code
    assert found == ANSWERED


async def administrator(client: Client, database_url: str, email: str) -> tuple[str, str]:
    """The access token and the id of a new one, who has the password of the examples."""
    answer = await client.register(email, SCHEMAS["RegisterBody"]["examples"][0]["password"])
    await run_sql(database_url, "UPDATE users SET role = 'admin' WHERE email LIKE '%.net'")
    tokens = await client.sign_in(email, SCHEMAS["RegisterBody"]["examples"][0]["password"])
    return tokens["access_token"], answer.json()["id"]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_names_of_schemas_are_words_and_no_names_of_their_own_fields(name: str) -> None:
    """A generator of Python calls an object as its class and each of its fields: one would hide the other."""
    assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
    assert re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() not in SCHEMAS[name].get("properties", {})
