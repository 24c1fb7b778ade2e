"""A form asks once: one answer names every field that is wrong, whether by its shape or by a rule."""

import json
from typing import Any

import pytest

from auth_service.errors import Reason
from tests.conftest import MakeClient
from tests.support.admins import Admin
from tests.support.claims import runs
from tests.support.client import PASSWORD, Client, bearer
from tests.support.document import document
from tests.support.json_bodies import JSON
from tests.support.markdown import block, code, section, tables
from tests.support.passkeys import PASSKEYS
from tests.support.problems import assert_problem, faults

MAIL = {"host": "127.0.0.1", "port": 9, "security": "none", "sender": "auth@example.com"}  # which is never there
GOOD = {"email": "ada@example.com", "password": PASSWORD}
LONG = [257, 1024, 1025, 5_000, 16_000]

# A path, its body, and all that is wrong with it.
CASES: dict[str, tuple[str, dict[str, Any], set[tuple[str, str]]]] = {
    "rules alone": (
        "/auth/register",
        {"email": "nowhere", "username": "a b", "password": "short"},
        {("email", "invalid-email"), ("username", "invalid-username"), ("password", "password-too-short")},
    ),
    "shapes and rules": (
        "/auth/register",
        {"email": 5, "username": "!", "password": "short", "emial": ""},
        {
            ("email", "wrong-type"), ("username", "invalid-username"), ("password", "password-too-short"),
            ("emial", "unknown-field"),
        },
    ),
    "nothing there, and a guessable password": (
        "/auth/register",
        {"password": "password12345678"},
        {("email", "required"), ("password", "password-blocklisted")},
    ),
    "a password made of the name beside it": (
        "/auth/register",
        {"email": "", "username": "adalovelace", "password": "adalovelace1234"},
        {("email", "required"), ("password", "password-blocklisted")},
    ),
    "a short text that is no address": ("/auth/register", {**GOOD, "email": "a"}, {("email", "invalid-email")}),
    "look-alikes": (
        "/auth/register",
        {**GOOD, "email": "\uff41da@example.com", "username": "\u212aate"},
        {("email", "look-alike"), ("username", "look-alike")},
    ),
    "a login without anything": (
        "/auth/login", {}, {("email", "required"), ("username", "required"), ("password", "required")}
    ),
    "a login with both names": (
        "/auth/login",
        {**GOOD, "username": "ada", "password": ""},
        {("email", "not-together"), ("username", "not-together"), ("password", "required")},
    ),
    "a login with a bad address": (
        "/auth/login", {"email": "nowhere", "password": 5}, {("email", "invalid-email"), ("password", "wrong-type")}
    ),
    "a change of password": (
        "/auth/me/password",
        {"new_password": "short"},
        {("current_password", "required"), ("new_password", "password-too-short")},
    ),
    "a change of password by its shape": (
        "/auth/me/password",
        {"current_password": 5, "new_password": "short"},
        {("current_password", "wrong-type"), ("new_password", "password-too-short")},
    ),
    "a change of address": (
        "/auth/me/email", {"new_email": "nowhere"}, {("new_email", "invalid-email"), ("current_password", "required")}
    ),
    "a change of address to the same": (
        "/auth/me/email",
        {"new_email": "ROOT@example.com"},
        {("new_email", "unchanged"), ("current_password", "required")},
    ),
    "a reset": (
        "/auth/reset-password",
        {"token": "", "new_password": "x" * 300},
        {("token", "required"), ("new_password", "password-too-long")},
    ),
    "a link with two passwords": (
        "/auth/verify-email",
        {"password": "x", "new_password": "short"},
        {("token", "required"), ("password", "not-together"), ("new_password", "not-together")},
    ),
    "an account made by an administrator": (
        "/admin/users",
        {"email": "nowhere", "username": "a b", "role": "king"},
        {("email", "invalid-email"), ("username", "invalid-username"), ("role", "unknown-value")},
    ),
    "the same, with a role that there is": (
        "/admin/users",
        {"email": "nowhere", "username": "a b"},
        {("email", "invalid-email"), ("username", "invalid-username")},
    ),
    "a step-up without a proof": (
        "/auth/step-up", {}, {("password", "required"), ("code", "required"), ("credential", "required")}
    ),
    "a step-up with two proofs": (
        "/auth/step-up", {"password": "x", "code": "1"}, {("password", "not-together"), ("code", "not-together")}
    ),
    "a step-up with half a passkey": ("/auth/step-up", {"challenge": "x"}, {("credential", "required")}),
    "a second step without a proof": (
        "/auth/login/second-factor",
        {},
        {("challenge", "required"), ("code", "required"), ("credential", "required")},
    ),
    "a name for a code": (
        "/auth/login/enrol/confirm", {"challenge": "x", "code": "1", "name": "\n"},
        {("name", "invalid-character"), ("name", "not-together")},
    ),
    "a passkey": (
        "/auth/me/passkeys",
        {
            "name": "",
            "credential": {
                "id": "AAAA", "rawId": "AAAB", "type": "x", "clientExtensionResults": [],
                "response": {"clientDataJSON": "=", "attestationObject": 1, "transports": ["usb", "!", 5]},
            },
        },
        {
            ("challenge", "required"), ("name", "required"), ("credential.rawId", "invalid-format"),
            ("credential.type", "unknown-value"), ("credential.response.clientDataJSON", "invalid-format"),
            ("credential.response.attestationObject", "wrong-type"),
            ("credential.response.transports.1", "invalid-format"),
            ("credential.response.transports.2", "wrong-type"),
            ("credential.clientExtensionResults", "wrong-type"),
        },
    ),
}  # fmt: skip


@pytest.fixture
async def admin(make_client: MakeClient) -> Admin:
    return await Admin.of(await make_client(mail=MAIL, **PASSKEYS, throttle={"enabled": False}))


@pytest.mark.parametrize(("path", "body", "wrong"), CASES.values(), ids=CASES)
async def test_every_wrong_field_is_named_in_one_answer(
    admin: Admin, path: str, body: dict[str, Any], wrong: set[tuple[str, str]]
) -> None:
    headers = {**JSON, **bearer(admin.tokens["access_token"])}
    answer = await admin.client.post(path, content=json.dumps(body).encode(), headers=headers)
    assert answer.status_code == 422
    assert {*faults(answer)} == wrong
    assert len(faults(answer)) == len(wrong)
    if len(wrong) > 1:
        assert_problem(answer, 422, "validation-error")


WITH_A_PASSWORD = {
    "/auth/register": ({**GOOD}, "password", 256),
    "/auth/login": ({**GOOD}, "password", 1024),
    "/auth/step-up": ({}, "password", 1024),
    "/auth/me/password": ({"current_password": PASSWORD}, "new_password", 256),
    "/auth/me/password?": ({"new_password": PASSWORD}, "current_password", 1024),
    "/auth/me/email": ({"new_email": "new@example.com"}, "current_password", 1024),
    "/auth/verify-email": ({"token": "lnk_x"}, "password", 1024),
    "/auth/confirm-email": ({"token": "lnk_x"}, "password", 1024),
}


@pytest.mark.parametrize("path", WITH_A_PASSWORD)
async def test_a_password_that_is_too_long_is_called_that_at_any_length(admin: Admin, path: str) -> None:
    body, field, limit = WITH_A_PASSWORD[path]
    headers = bearer(admin.tokens["access_token"])
    for length in LONG:
        for letter in "xé" if length < 8_000 else "x":
            if length > limit:
                sent = {**body, field: letter * length}
                answer = await admin.client.post(path, json=sent, headers=headers)
                assert_problem(answer, 422, "password-too-long")
                [fault] = answer.json()["errors"]
                assert (fault["field"], fault["reason"], fault["detail"]) == (
                    field, "password-too-long", answer.json()["detail"]
                )  # fmt: skip
                assert str(fault["limit"]) in fault["detail"]
    answer = await admin.client.post(path, json={**body, field: "x" * 16_500}, headers=headers)
    assert_problem(answer, 413, "body-too-large")


async def test_a_password_is_as_long_as_its_characters_whatever_their_bytes(client: Client) -> None:
    key = "\N{KEY}"
    for password, reason in (
        (key * 14, "password-too-short"),
        (key * 257, "password-too-long"),
        ("", "password-too-short"),
    ):
        answer = await client.register("ada@example.com", password)
        assert faults(answer) == [("password", reason)]
    assert (await client.register("ada@example.com", "".join(chr(0x1F600 + n) for n in range(15)))).status_code == 201


async def test_a_username_that_waits_for_the_first_sign_in_is_told_beside_what_else_is_wrong(
    make_client: MakeClient,
) -> None:
    client = await make_client(mail=MAIL, registration={"existing": "conceal"})
    for email, reason in (("nowhere", "invalid-email"), (5, "wrong-type")):
        answer = await client.post("/auth/register", json={"email": email, "username": "ada", "password": "short"})
        told = {("email", reason), ("username", "not-allowed"), ("password", "password-too-short")}
        assert {*faults(answer)} == told


@runs("docs/integrating.md", "answer: errors")
async def test_the_answer_is_as_the_page_shows_it(client: Client) -> None:
    shown = json.loads(block("docs/integrating.md", "answer: errors"))
    answer = await client.register("nowhere", "short")
    assert answer.json() | {"request_id": shown["request_id"]} == shown


@pytest.mark.parametrize(
    "body",
    [
        "[" * 900 + "NaN," * 3550 + "NaN" + "]" * 900,
        "".join(f'{{"{number:064}": ' for number in range(110)) + "[" + "NaN," * 2000 + "NaN]" + "}" * 110,
        "{" + ",".join(f'"field{number}": 1' for number in range(1000)) + "}",
    ],
    ids=["deep lists", "long names", "unknown fields"],
)
async def test_a_small_body_with_a_thousand_faults_makes_no_large_answer(client: Client, body: str) -> None:
    answer = await client.post("/auth/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert 1 <= len(answer.json()["errors"]) <= 50
    assert len(answer.content) < len(body)


def test_the_page_explains_every_reason_once() -> None:
    [rows] = tables(section("docs/integrating.md", "Errors that a form can show"))
    assert [reason for row in rows for reason in code(row[0])] == [*Reason]


def test_the_document_knows_every_reason_and_allows_for_newer_ones() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["FieldError"]["properties"]["reason"] == {"$ref": "#/components/schemas/Reason"}
    assert schemas["Reason"]["anyOf"] == [{"type": "string", "enum": [*Reason]}, {"type": "string"}]
    assert {"field", "reason", "detail"} <= set(schemas["FieldError"]["required"])
