"""`/health/live`: the version of what runs, for those who hold the internal token."""

import pytest

from auth_service import __version__
from tests.conftest import MakeClient

TOKEN = "dG9rZW4gb2YgdGhlIHRlc3Rz"


@pytest.mark.parametrize("headers", [{"X-Internal-Token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}])
async def test_who_has_the_internal_token_learns_the_version(make_client: MakeClient, headers: dict[str, str]) -> None:
    client = await make_client("sqlite+aiosqlite://", internal_token=TOKEN)
    answer = await client.get("/health/live", headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


@pytest.mark.parametrize("settings", [{"internal_token": TOKEN}, {}], ids=["a token", "no token"])
@pytest.mark.parametrize("headers", [{}, {"X-Internal-Token": "another one"}, {"Authorization": "Bearer \xe9"}])
async def test_nobody_else_does_and_a_wrong_token_is_no_reason_for_a_restart(
    make_client: MakeClient, headers: dict[str, str], settings: dict[str, str]
) -> None:
    client = await make_client("sqlite+aiosqlite://", **settings)
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = await client.get("/health/live", headers=encoded)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
