"""An authenticator app whose secret does not open: the fault is the operator's, and no code is called wrong for it."""

import json
import secrets
from pathlib import Path

import pytest

from tests.conftest import MakeClient, environment
from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.doctor import IN_ORDER, examined
from tests.support.mail_server import mail_server
from tests.support.outbox import mark_verified, none_waits, to
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.server import Server, run_command
from tests.support.sql import run_sql
from tests.support.stored_attempts import StoredAttempts

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
DROPPED = "UPDATE factors SET secret_id = '00000000'"  # as if its secret key were listed no more


async def taken_back(client: Client) -> bool:
    return not await StoredAttempts(client).pending()


async def counted(client: Client) -> dict[bytes, int]:
    """The failures of every tally that has some."""
    return {key: row["failures"] for key, row in (await StoredAttempts(client).rows()).items() if row["failures"]}


@on_a_lasting_database
async def test_a_right_code_is_a_503_that_counts_nowhere_and_a_recovery_code_goes_on(
    make_client: MakeClient, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        app = await Authenticator.add(client, await client.sign_in())
        await run_sql(database_url, DROPPED)
        challenge, token = await client.challenge(), app.tokens["access_token"]
        before = await counted(client)
        for _ in range(7):
            assert_problem(await client.second_factor(challenge, app.code()), 503, "unavailable")
            assert_problem(await client.step_up(token, code=app.code()), 503, "unavailable")
        await eventually(taken_back, client)
        assert await counted(client) == before
        assert (await client.step_up(token, code=app.recovery_codes[0])).status_code == 200
        assert (await client.second_factor(challenge, app.recovery_codes[1])).status_code == 200
        await eventually(none_waits, client)
    assert not any("Somebody who knows" in subject for subject in server.subjects())
    refused = "SELECT count(*) FROM audit_events WHERE event IN ('factor.code_refused', 'throttle.blocked')"
    assert await run_sql(database_url, refused) == [(0,)]
    (told,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"factor.unreadable"' in line]
    assert (told["level"], told["factor_id"], told["secret_id"]) == ("error", app.id, "00000000")
    assert "AUTH_SECRET_KEY" in told["hint"]


@on_a_lasting_database
async def test_so_is_the_first_code_of_a_new_app_which_can_be_begun_anew(ada: Client, database_url: str) -> None:
    tokens = await ada.sign_in()
    app = await Authenticator.begin(ada, tokens["access_token"])
    await run_sql(database_url, DROPPED)
    assert_problem(await ada.confirm_totp(tokens["access_token"], app.id, app.code()), 503, "unavailable")
    anew = await Authenticator.begin(ada, tokens["access_token"])
    assert (await ada.confirm_totp(tokens["access_token"], anew.id, anew.code())).status_code == 200


@on_a_lasting_database
async def test_the_doctor_counts_apps_that_a_replica_left_under_the_old_secret(
    database_url: str, tmp_path: Path
) -> None:
    """The replica still has the old secret first, when the others have both and the secrets are encrypted again."""
    late = environment(database_url, **IN_ORDER)
    old, new = late["AUTH_SECRET_KEY"], secrets.token_urlsafe(48)
    both, only = late | {"AUTH_SECRET_KEY": f"{new},{old}"}, late | {"AUTH_SECRET_KEY": new}
    with Server(late | {"AUTH_SECRET_KEY": f"{old},{new}"}, tmp_path) as server:
        server.wait_ready()
        assert run_command("keys", "rewrap", env=both, cwd=tmp_path).returncode == 0
        async with Client(base_url=server.base_url) as client:
            await client.register("ada@example.com")
            await Authenticator.add(client, await client.sign_in())

    def told(env: dict[str, str], code: int) -> str:
        report = examined(tmp_path, env, code)
        assert report["failed"] == ["secrets of factors"] * code
        detail: str = report["checks"]["secrets of factors"]["detail"]
        return detail

    assert told(both, 0).startswith("1 are encrypted under an older secret: run 'auth-service keys rewrap'")
    assert told(only, 1).startswith("1 cannot be opened: AUTH_SECRET_KEY does not include")
    assert run_command("keys", "rewrap", env=both, cwd=tmp_path).returncode == 0
    assert told(both, 0) == told(only, 0) == "all under the newest secret of AUTH_SECRET_KEY"
