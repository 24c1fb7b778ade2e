"""What the OpenAPI document says of lengths and patterns is what the running service does, asked at each boundary."""

import json
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import MakeClient
from tests.support.client import Client, bearer
from tests.support.document import document, operations, resolved
from tests.support.sql import run_sql

ASCII = [chr(number) for number in range(128)]
# Of parameters, beside the boundaries that are told as numbers.
VALUES = {
    "cursor": ["A" * 31, "A" * 33, "A" * 31 + "+", "A" * 31 + "=", ""],
    "role": ["a", "A", "1", "", "a b", "a" * 64, "a" * 65, "a.b-c_d:1", "ä"],
    "acr": ["aal1", "AAL1", "phr", ""],
}
BASE64URL = [
    "", "A", "AA", "AB", "Aw", "AAA", "AAB", "AAE", "AAAA", "AAAAA", "AA==", "A+/A", "A" * 1363, "A" * 1364, "A" * 1366,
]  # fmt: skip


def email_of(length: int) -> str:
    """An address with the longest local part that it can have, and labels of 59 or 60 characters."""
    local = "x" * max(1, min(64, length - 2))
    rest = length - len(local) - 1
    domain = ("d" * 59 + ".") * (rest // 60 + 1)
    return f"{local}@{domain[: rest - 1]}d" if rest else local + "@"


# A value of so many characters that is good in every other way.
MAKERS: dict[str, Callable[[int], str]] = {
    "email": email_of,
    "password": lambda length: (uuid4().hex * 40)[:length],
    "username": lambda length: (uuid4().hex * 40)[:length],
}
MAKERS["name of a user"] = lambda length: email_of(length) if length > 64 else "x" * length


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without the null that stands for a field that is left out."""
    kinds: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return next((kind for kind in kinds if kind.get("type") != "null"), schema)


def fields() -> Iterator[tuple[str, str, str]]:
    """Operation, media type and name of a text in a body, once for each kind of text that there is."""
    seen = set()
    for path, method, operation in operations():
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
            for name, schema in resolved(media["schema"]).get("properties", {}).items():
                told = json.dumps({**plain(schema), "description": "", "examples": []}, sort_keys=True)
                if plain(schema).get("type") == "string" and told not in seen and path != "/auth/me":
                    seen.add(told)
                    yield f"{method} {path}", media_type, name


PARAMETERS = [
    (f"{method} {path}", parameter["name"], parameter["schema"])
    for path, method, operation in operations()
    for parameter in operation.get("parameters", ())
    if parameter["in"] == "query"
]


@pytest.fixture
async def owner(make_client: MakeClient, database_url: str) -> tuple[Client, str]:
    """An administrator, and the access token."""
    passkeys = {"rp_id": "localhost", "origins": ["http://localhost"]}
    client = await make_client(throttle={"enabled": False}, passkeys=passkeys)
    (await client.register("owner@example.net")).raise_for_status()
    await run_sql(database_url, "UPDATE users SET role = 'admin'")
    return client, (await client.sign_in("owner@example.net"))["access_token"]


async def is_taken(owner: tuple[Client, str], label: str, name: str, **request: Any) -> bool:
    """Whether the answer finds nothing wrong with this field by itself; others, and what is beside it, may be."""
    client, token = owner
    method, path = label.split()
    where = path.format(user_id=uuid4(), factor_id=uuid4(), session_id=uuid4())
    answer = await client.ask(method, where, headers=bearer(token), **request)
    assert answer.status_code < 500
    if answer.status_code == 400:
        return bool(answer.json()["code"] != "invalid-request")
    errors = answer.json().get("errors", []) if answer.status_code == 422 else []
    alone = [error for error in errors if error["reason"] != "not-together"]
    return all(error["field"] not in {name, "query"} for error in alone)


def is_valid(schema: dict[str, Any], value: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))


def boundaries(schema: dict[str, Any], least: str, most: str) -> list[int]:
    """The numbers on both sides of each boundary that is told."""
    return sorted({schema[limit] + more for limit in (least, most) if limit in schema for more in (-1, 0, 1)})


@pytest.mark.parametrize(("label", "media_type", "name"), list(fields()))
async def test_lengths_in_bodies(owner: tuple[Client, str], label: str, media_type: str, name: str) -> None:
    method, path = label.split()
    body = resolved(document()["paths"][path][method]["requestBody"]["content"][media_type]["schema"])
    schema, others = body["properties"][name], {field: body["examples"][0][field] for field in body.get("required", ())}
    for length in boundaries(plain(schema), "minLength", "maxLength"):
        value = MAKERS.get(name, "x".__mul__)(length)
        assert len(value) == length
        kind = "json" if media_type == "application/json" else "data"
        taken = await is_taken(owner, label, name, **{kind: {**others, name: value}})
        assert taken == is_valid(schema, value), length


@pytest.mark.parametrize(("label", "name", "schema"), PARAMETERS)
async def test_parameters(owner: tuple[Client, str], label: str, name: str, schema: dict[str, Any]) -> None:
    make = MAKERS["name of a user"] if name == "name" else "x".__mul__
    values = [
        *boundaries(schema, "minimum", "maximum"),
        *map(make, boundaries(schema, "minLength", "maxLength")),
        *VALUES.get(name, ()),
    ]
    told = schema.get("items", schema)
    for value in values:
        taken = await is_taken(owner, label, name, params={name: value})
        assert taken == is_valid(told, value), value


async def test_usernames(owner: tuple[Client, str]) -> None:
    """Of ASCII the pattern tells all; of what is beyond, it refuses nothing that is taken."""
    schema = document()["components"]["schemas"]["RenameBody"]["properties"]["username"]
    for first, inner in [*product(ASCII, ["a"]), *product(["a"], ASCII)]:
        name = f"{first}{inner}b"
        taken = await is_taken(owner, "patch /auth/me", "username", json={"username": name})
        assert taken == is_valid(schema, name), name
    for name in ("ada ", " ada", "ada\n", "Ädä", "名前", "a\u0308da", "๑ไทย", "_ä", "ä b"):
        if await is_taken(owner, "patch /auth/me", "username", json={"username": name}):
            assert is_valid(schema, name), name


async def test_base64url(owner: tuple[Client, str]) -> None:
    credential = document()["components"]["schemas"]["AssertionCredential"]["properties"]["id"]
    for text in BASE64URL:
        body = {"challenge": "x", "credential": {"id": text}}
        taken = await is_taken(owner, "post /auth/passkeys/login", "credential.id", json=body)
        assert taken == is_valid(credential, text), text
