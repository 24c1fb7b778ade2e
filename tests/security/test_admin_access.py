"""Who gets in to `/admin`: every route that the OpenAPI document has there, with every kind of token."""

import re
from pathlib import Path
from typing import Any

import pytest

from auth_service.models import Role
from tests.conftest import MakeClient
from tests.support.admins import Admin, promote
from tests.support.document import document
from tests.support.forge import b64, open_forge, signed_with_text, unsigned
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

NOBODY = "00000000-0000-4000-8000-000000000000"
ROUTES = sorted(
    (method.upper(), path)
    for path, methods in document()["paths"].items()
    for method in methods
    if path.startswith("/admin")
)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One database will do: who gets in is decided before it matters."""
    return f"sqlite+aiosqlite:///{tmp_path}/auth.db"


@pytest.fixture
async def admin(make_client: MakeClient) -> Admin:
    """The second of two administrators: the last one could not be removed."""
    client = await make_client(throttle={"enabled": False})
    await Admin.of(client, "first@example.com")
    return await Admin.of(client)


async def refused_everywhere(admin: Admin, token: str | None, status: int, code: str) -> None:
    """Ask every route with bodies and paths that would be taken, and require this refusal."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for method, path in ROUTES:
        body = {"POST": {"email": "new@example.com"}, "PATCH": {"role": "admin"}}.get(method)
        where = re.sub(r"{\w+}", admin.id, path)
        answer = await admin.client.request(method, where, headers=headers, json=body)
        assert_problem(answer, status, code)
        asked = (method, path)
        assert "root@example.com" not in answer.text, asked


def test_these_are_the_routes() -> None:
    assert len(ROUTES) == 14
    for method, path in ROUTES:
        described = document()["paths"][path][method.lower()]
        assert described["security"] == [{"access_token": []}]
        assert {"401", "403", "503"} <= set(described["responses"])


async def test_without_a_token_there_is_nothing(admin: Admin) -> None:
    await refused_everywhere(admin, None, 401, "missing-access-token")


async def test_a_users_token_is_not_enough(admin: Admin) -> None:
    (await admin.client.register("ada@example.com")).raise_for_status()
    await refused_everywhere(admin, (await admin.client.sign_in())["access_token"], 403, "insufficient-role")


async def test_a_forged_role_fails_at_the_signature(admin: Admin, database_url: str) -> None:
    (await admin.client.register("ada@example.com")).raise_for_status()
    token = (await admin.client.sign_in())["access_token"]
    forge = await open_forge(database_url, token)
    claims = {**forge.claims, "roles": ["admin"]}
    public = (await admin.client.get("/.well-known/jwks.json")).content
    signature = token.rpartition(".")[2]
    for forged in (
        f"{unsigned(forge.header, claims)}.{signature}",
        signed_with_text(unsigned({**forge.header, "alg": "HS256"}, claims), public),
        f"{unsigned({**forge.header, 'alg': 'none'}, claims)}.",
        f"{unsigned(forge.header, claims)}.{b64(bytes(64))}",
    ):
        answer = await admin.client.get("/admin/users", headers={"Authorization": f"Bearer {forged}"})
        assert_problem(answer, 401, "invalid-access-token")


async def test_a_role_that_only_a_token_of_ours_claims_is_not_believed(admin: Admin, database_url: str) -> None:
    (await admin.client.register("ada@example.com")).raise_for_status()
    token = (await admin.client.sign_in())["access_token"]
    forge = await open_forge(database_url, token)  # a faulty issuer's: the signature is right
    await refused_everywhere(admin, forge.signed(claims={"roles": ["admin"]}), 403, "insufficient-role")


async def test_an_administrator_is_asked_for_in_the_database_each_time(admin: Admin, database_url: str) -> None:
    token = admin.tokens["access_token"]
    for change, undo, status, code in (
        ("role = 'user'", "role = 'admin'", 403, "insufficient-role"),
        ("is_active = false", "is_active = true", 401, "invalid-access-token"),
        ("credential_epoch = credential_epoch + 1", "credential_epoch = 1", 401, "invalid-access-token"),
    ):
        # Behind the back of this process, so that no news of ended sessions could tell it.
        await run_sql(database_url, f"UPDATE users SET {change} WHERE email_canonical = 'root@example.com'")
        await refused_everywhere(admin, token, status, code)
        await run_sql(database_url, f"UPDATE users SET {undo} WHERE email_canonical = 'root@example.com'")
    assert (await admin.call("GET")).status_code == 200


@pytest.mark.parametrize("how", ["demoted", "disabled", "deleted", "signed out"])
async def test_who_is_an_administrator_no_more_is_out_at_once(admin: Admin, how: str) -> None:
    if how == "demoted":
        await promote(admin.client, admin.id, Role.USER)
    elif how == "disabled":
        (await admin.call("POST", f"/{admin.id}/disable")).raise_for_status()
    elif how == "deleted":
        (await admin.call("DELETE", f"/{admin.id}")).raise_for_status()
    else:
        (await admin.call("POST", f"/{admin.id}/end-sessions")).raise_for_status()
    await refused_everywhere(admin, admin.tokens["access_token"], 401, "invalid-access-token")


BAD_QUERIES: list[dict[str, Any]] = [
    {"page": 0}, {"page": 100_001}, {"page": "x"}, {"per_page": 0}, {"per_page": 101}, {"q": "ab"}, {"q": "ab\x00c"},
    {"name": ""}, {"role": "the king"}, {"is_active": "perhaps"}, {"created_from": "yesterday"}, {"created_to": "0.5"},
    {"created_from": "2026-01-01T00:00:00"}, {"created_to": "0001-01-01T00:00:00+05:00"}, {"cursor": ""},
    {"cursor": "A" * 31}, {"cursor": "f" + "_" * 31}, {"cursor": "A" * 31 + "="}, {"cursor": "A" * 32, "page": 2},
    {"rol": "admin"},
]  # fmt: skip


async def test_a_query_that_is_not_understood_is_refused_and_never_a_longer_list(admin: Admin) -> None:
    for query in BAD_QUERIES:
        assert_problem(await admin.call("GET", params=query), 422, "validation-error")
