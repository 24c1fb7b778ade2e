"""What enters through a field: exact types, known names, no NUL, no half surrogates, and nothing of it comes back."""

import json
from typing import Any

import httpx
import pytest

from tests.support.client import PASSWORD, Client
from tests.support.json_bodies import BODY_ROUTES, CANARY, JSON
from tests.support.problems import assert_problem, faults

BODIES: dict[str, dict[str, Any]] = {
    "/auth/register": {"email": "ada@example.com", "password": PASSWORD, "username": "ada"},
    "/auth/login": {"email": "ada@example.com", "password": PASSWORD},
    "/auth/login?": {"username": "ada", "password": PASSWORD},
    "/auth/refresh": {"refresh_token": "art_unknown"},
    "/auth/logout": {"refresh_token": "art_unknown"},
}
FIELDS = [(path, field) for path, body in BODIES.items() for field in body]
WRONG_TYPES = [True, False, 0, 12, -1.5, [], [CANARY], {}, {CANARY: CANARY}, [[CANARY]], [{CANARY: 1}]]
WRONG_TEXTS = [
    f"{CANARY}\x00",
    f"\x00{CANARY}",
    f"{CANARY}\ud800",
    f"\udfff{CANARY}",
    f"{CANARY}\udc00\ud83d",  # the halves of a pair, the wrong way round
    "",
]


async def refused(client: Client, path: str, body: object, code: str = "validation-error") -> httpx.Response:
    """Send a document, surrogates and all, and require a 422 that does not repeat the canary."""
    answer = await client.post(path, content=json.dumps(body).encode(), headers=JSON)
    assert_problem(answer, 422, code)
    assert CANARY not in answer.text
    return answer


@pytest.mark.parametrize(("path", "field"), FIELDS)
async def test_a_value_of_another_type_is_refused_and_not_converted(client: Client, path: str, field: str) -> None:
    for wrong in WRONG_TYPES:
        answer = await refused(client, path, {**BODIES[path], field: wrong})
        assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(("path", "field"), FIELDS)
async def test_nul_and_lone_surrogates_are_refused_in_every_string(client: Client, path: str, field: str) -> None:
    for wrong in WRONG_TEXTS:
        for text in (wrong, wrong + "x" * 20, f"ada@{wrong}example.com"):
            if text not in {"x" * 20, "ada@example.com"}:
                is_new = (path, field, text) == ("/auth/register", "password", "")
                code = "password-too-short" if is_new else "validation-error"
                answer = await refused(client, path, {**BODIES[path], field: text}, code)
                assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(("path", "field"), [found for found in FIELDS if found != ("/auth/register", "username")])
async def test_a_missing_field_is_named_and_the_others_are_not_repeated(client: Client, path: str, field: str) -> None:
    rest = {name: CANARY + "@example.com" for name in BODIES[path] if name != field}
    await refused(client, path, rest)


@pytest.mark.parametrize("path", BODIES)
async def test_an_unknown_field_is_named_and_what_cannot_be_a_name_is_not_repeated(client: Client, path: str) -> None:
    for unknown in ("emial", "e-mail address", "größe", "x" * 64):
        answer = await refused(client, path, {**BODIES[path], unknown: CANARY})
        assert faults(answer) == [(unknown, "unknown-field")]
    for unknown in ("", f"{CANARY}\x00", f"{CANARY}." * 100):
        answer = await refused(client, path, {**BODIES[path], unknown: CANARY})
        assert faults(answer) == [("body", "unknown-field")]
    answer = await refused(client, path, {**BODIES[path], f"{CANARY}\ud800": CANARY})
    assert faults(answer) == [("body", "invalid-character")]


@pytest.mark.parametrize(
    "privilege",
    ["role", "is_admin", "is_active", "is_verified", "id", "credential_epoch", "hashed_password", "scope", "client_id"],
)
async def test_a_registration_that_sets_a_privilege_is_refused_and_makes_no_account(
    client: Client, privilege: str
) -> None:
    await refused(client, "/auth/register", {**BODIES["/auth/register"], privilege: "admin"})
    assert (await client.login()).status_code == 401
    assert (await client.register("ada@example.com")).json()["role"] == "user"


@pytest.mark.parametrize("document", [[CANARY], [], CANARY, {}, None, True, 12, 1.5, [[{CANARY: CANARY}]]])
async def test_a_document_that_is_no_fitting_object_is_refused(client: Client, document: object) -> None:
    for path in BODY_ROUTES:
        await refused(client, path, document)


async def test_a_login_with_both_names_or_neither_is_refused(client: Client) -> None:
    names = {"email": "ada@example.com", "username": "ada"}
    await refused(client, "/auth/login", {**names, "password": CANARY})
    await refused(client, "/auth/login", {"password": CANARY})
    await refused(client, "/auth/login", {"email": None, "username": None, "password": CANARY})


async def test_fields_longer_than_any_policy_are_refused_without_work(client: Client) -> None:
    for path, body in BODIES.items():
        for field in set(body) - {"refresh_token"}:
            is_password = field == "password"
            code = "password-too-long" if is_password else "validation-error"
            answer = await refused(client, path, {**body, field: CANARY + "x" * 10_000}, code)
            assert faults(answer) == [(field, "password-too-long" if is_password else "too-long")]


async def test_nul_and_bytes_that_are_no_utf_8_in_path_and_query_do_no_harm(ada: Client) -> None:
    token = (await ada.sign_in())["access_token"]
    for bad in ("%00", "%ff", "%ed%a0%80", "%c0%af"):
        assert_problem(await ada.get(f"/problems/{bad}"), 404, "not-found")
        assert_problem(await ada.get(f"/docs/assets/{bad}"), 404, "not-found")
        me = await ada.get(f"/auth/me?x={bad}&{bad}=1", headers={"Authorization": f"Bearer {token}"})
        assert me.status_code == 200


async def test_sql_in_a_field_is_a_text_like_any_other(ada: Client) -> None:
    assert (await ada.register("o'brien@example.com", "'; DROP TABLE users; --")).status_code == 201
    assert (await ada.login("o'brien@example.com", "'; DROP TABLE users; --")).status_code == 200
    for attack in ("' OR '1'='1", "') OR 1=1 --", "%", "\\' OR 1=1 --"):
        assert (await ada.login(password=attack)).status_code == 401
        assert (await ada.refresh(attack)).status_code == 401
        answer = await ada.post("/auth/login", json={"username": attack, "password": PASSWORD})
        assert answer.status_code == 422
