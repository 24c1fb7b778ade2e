"""A step-up: who holds a session proves again who it is, and one access token says so, and nothing else."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client
from tests.support.forge import part
from tests.support.mail_server import mail_server, text_of
from tests.support.outbox import mark_verified, none_waits, to
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.stored_attempts import StoredAttempts
from tests.support.stored_session import StoredSession

WRONG = "hunter2 hunter2 hunter2"
AUTHENTICATION = ("auth_time", "acr", "amr")


async def aged(client: Client, tokens: dict[str, Any]) -> str:
    """An access token of a session that was signed in to a day ago."""
    return await StoredSession(client, tokens).grows_old(tokens, days=1)


def said(token: str) -> dict[str, Any]:
    claims = part(token, 1)
    return {name: claims[name] for name in AUTHENTICATION}


async def test_the_token_is_of_the_same_session_and_tells_of_the_proof(ada: Client) -> None:
    tokens = await ada.sign_in()
    old, before = await aged(ada, tokens), await StoredSession(ada, tokens).row()
    answer = await ada.step_up(old)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 300)
    assert answer.headers["cache-control"] == "no-store"
    claims = part(answer.json()["access_token"], 1)
    assert (claims["sid"], claims["sub"]) == (tokens["session_id"], part(old, 1)["sub"])
    assert (claims["acr"], claims["amr"]) == ("aal1", ["pwd"])
    assert claims["auth_time"] == claims["iat"] == pytest.approx(time.time(), abs=5)
    assert claims["exp"] == claims["iat"] + 300
    assert await StoredSession(ada, tokens).row() == before


async def test_no_refresh_is_raised_or_renewed_by_it_neither_the_owners_nor_a_thiefs(ada: Client) -> None:
    tokens = await ada.sign_in()
    stored = StoredSession(ada, tokens)
    await stored.time_passes(days=1)
    before = await ada.rotate(tokens["refresh_token"])
    (await ada.step_up(before["access_token"])).raise_for_status()
    copied = await ada.refresh(before["refresh_token"])
    owners = await ada.refresh(before["refresh_token"])
    for answer in (copied, owners):
        assert said(answer.json()["access_token"]) == said(before["access_token"])
        assert_problem(await ada.export(answer.json()["access_token"]), 401, "step-up-required")


async def test_it_ends_with_its_session(ada: Client) -> None:
    tokens = await ada.sign_in()
    stepped_up = (await ada.step_up(tokens["access_token"])).json()["access_token"]
    assert (await ada.me(stepped_up)).status_code == 200
    await ada.logout(tokens["refresh_token"])
    for refused in (await ada.me(stepped_up), await ada.export(stepped_up), await ada.step_up(stepped_up)):
        assert_problem(refused, 401, "invalid-access-token")


async def test_it_never_outlives_its_session(make_client: MakeClient) -> None:
    client = await make_client(tokens={"refresh_absolute_lifetime": 86400, "refresh_idle_lifetime": 86400})
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    await StoredSession(client, tokens).time_passes(seconds=86400 - 60)
    stepped_up = (await client.step_up(tokens["access_token"])).json()
    assert 50 < stepped_up["expires_in"] <= 60
    claims = part(stepped_up["access_token"], 1)
    assert claims["exp"] - claims["iat"] == stepped_up["expires_in"]
    await StoredSession(client, tokens).time_passes(seconds=60)
    assert_problem(await client.step_up(tokens["access_token"]), 401, "invalid-access-token")


@pytest.mark.parametrize("what", ["session", "epoch", "account"])
async def test_the_database_is_asked_whether_the_session_is_alive(ada: Client, what: str) -> None:
    """It has ended behind the back of this process, as when another one was told and the news is not here yet."""
    tokens = await ada.sign_in()
    stored = StoredSession(ada, tokens)
    row = await stored.row()
    if what == "session":
        await stored.change(revoked_at=row["created_at"], revoked_reason="logout")
    else:
        await stored.change_user(**({"credential_epoch": 7} if what == "epoch" else {"is_active": False}))
    assert_problem(await ada.step_up(tokens["access_token"]), 401, "invalid-access-token")


async def test_wrong_passwords_are_counted_for_the_session_and_other_devices_go_on(ada: Client) -> None:
    stolen, other = await ada.sign_in(), await ada.sign_in()
    for _ in range(5):
        assert_problem(await ada.step_up(stolen["access_token"], password=WRONG), 401, "invalid-credentials")
    assert_problem(await ada.step_up(stolen["access_token"], password=WRONG), 429, "too-many-attempts")
    assert_problem(await ada.step_up(stolen["access_token"]), 429, "too-many-attempts")
    assert (await ada.step_up(other["access_token"])).status_code == 200
    assert (await ada.login()).status_code == 200
    assert (await ada.refresh(stolen["refresh_token"])).status_code == 200


async def test_the_other_door_to_the_password_gives_no_more_guesses(ada: Client) -> None:
    stolen = (await ada.sign_in())["access_token"]
    for _ in range(3):
        assert_problem(await ada.step_up(stolen, password=WRONG), 401, "invalid-credentials")
    for _ in range(2):
        assert_problem(await ada.change_password(stolen, WRONG, "quite another passphrase"), 401, "invalid-credentials")
    assert_problem(await ada.change_password(stolen, WRONG, "quite another passphrase"), 429, "too-many-attempts")
    assert_problem(await ada.step_up(stolen, password=WRONG), 429, "too-many-attempts")


async def test_all_sessions_together_have_a_limit(ada: Client) -> None:
    for _ in range(20):
        stolen = (await ada.sign_in())["access_token"]
        for _ in range(5):
            assert (await ada.step_up(stolen, password=WRONG)).status_code == 401
    assert_problem(await ada.step_up((await ada.sign_in())["access_token"]), 429, "too-many-attempts")


async def test_who_steps_up_all_day_is_not_taken_for_a_guesser(ada: Client) -> None:
    token = (await ada.sign_in())["access_token"]
    for _ in range(40):
        assert (await ada.step_up(token)).status_code == 200


async def test_the_trail_tells_of_it(ada: Client) -> None:
    tokens = await ada.sign_in()
    await ada.step_up(tokens["access_token"], password=WRONG)
    await ada.step_up(tokens["access_token"])
    events = {event["event"]: event for event in (await ada.export(tokens["access_token"])).json()["events"]}
    assert events["step_up.refused"]["session_id"] == tokens["session_id"]
    told = events["step_up.succeeded"]
    assert (told["session_id"], told["details"]) == (tokens["session_id"], {"acr": "aal1"})


@pytest.mark.parametrize("body", [{}, {"password": PASSWORD, "code": "123456"}, {"password": None}, {"code": ""}])
async def test_exactly_one_proof_is_taken(ada: Client, body: dict[str, Any]) -> None:
    token = (await ada.sign_in())["access_token"]
    answer = await ada.post("/auth/step-up", json=body, headers={"Authorization": f"Bearer {token}"})
    assert_problem(answer, 422, "validation-error")


async def test_the_password_from_before_is_no_proof(ada: Client) -> None:
    tokens = await ada.sign_in()
    changed = (await ada.change_password(tokens["access_token"], PASSWORD, "quite another passphrase")).json()
    assert_problem(await ada.step_up(tokens["access_token"]), 401, "invalid-access-token")
    assert_problem(await ada.step_up(changed["access_token"]), 401, "invalid-credentials")


@dataclass
class Owner:
    """Ada with an authenticator app, and the access token of a session of a day ago."""

    client: Client
    app: Authenticator
    old: str

    async def step_up(self, **proof: str) -> httpx.Response:
        return await self.client.step_up(self.old, **proof)


@pytest.fixture
async def owner(ada: Client) -> Owner:
    app = await Authenticator.add(ada, await ada.sign_in())
    return Owner(ada, app, await aged(ada, app.tokens))


async def test_a_code_of_the_app_steps_up_and_is_good_for_nothing_else_then(owner: Owner) -> None:
    code = owner.app.code()
    answer = await owner.step_up(code=code)
    claims = part(answer.raise_for_status().json()["access_token"], 1)
    assert (claims["acr"], claims["amr"]) == ("aal2", ["pwd", "otp", "mfa"])
    assert claims["auth_time"] == claims["iat"]
    assert_problem(await owner.step_up(code=code), 401, "invalid-second-factor")
    refused = await owner.client.second_factor(await owner.client.challenge(), code)
    assert_problem(refused, 401, "invalid-second-factor")
    assert (await owner.client.export(answer.json()["access_token"])).status_code == 200


async def test_the_code_of_a_sign_in_steps_nothing_up(owner: Owner) -> None:
    code = owner.app.code()
    (await owner.client.second_factor(await owner.client.challenge(), code)).raise_for_status()
    assert_problem(await owner.step_up(code=code), 401, "invalid-second-factor")
    assert (await owner.step_up(code=owner.app.code(1))).status_code == 200


async def test_a_recovery_code_steps_up_once_and_the_owner_is_told(owner: Owner) -> None:
    code = owner.app.recovery_codes[0]
    claims = part((await owner.step_up(code=code.lower())).raise_for_status().json()["access_token"], 1)
    assert (claims["acr"], claims["amr"]) == ("aal2", ["pwd", "otp", "mfa"])
    assert_problem(await owner.step_up(code=code), 401, "invalid-second-factor")
    told = await owner.client.factors(owner.old)
    assert told["recovery_codes_left"] == len(owner.app.recovery_codes) - 1


async def test_with_a_factor_the_password_is_no_proof_and_not_even_looked_at(owner: Owner) -> None:
    for password in (PASSWORD, WRONG) * 4:
        assert_problem(await owner.step_up(password=password), 401, "invalid-second-factor")
    assert (await owner.step_up(code=owner.app.code())).status_code == 200


async def test_without_a_factor_a_code_is_no_proof(ada: Client) -> None:
    token = (await ada.sign_in())["access_token"]
    for code in ("123456", "ABCDE-FGHJK-MNPQR-STVWX-YZ012", "no code"):
        assert_problem(await ada.step_up(token, code=code), 401, "invalid-second-factor")


async def test_wrong_codes_are_counted_for_the_session_and_recovery_codes_and_other_devices_go_on(owner: Owner) -> None:
    other = await owner.client.second_factor(await owner.client.challenge(), owner.app.code())
    for _ in range(5):
        assert_problem(await owner.step_up(code=owner.app.wrong_code()), 401, "invalid-second-factor")
    assert_problem(await owner.step_up(code=owner.app.code(1)), 429, "too-many-attempts")
    assert (await owner.step_up(code=owner.app.recovery_codes[0])).status_code == 200
    assert_problem(await owner.step_up(code=owner.app.code(1)), 429, "too-many-attempts")
    goes_on = await owner.client.step_up(other.json()["access_token"], code=owner.app.code(1))
    assert goes_on.status_code == 200


async def test_the_owner_is_told_once_of_wrong_codes_in_a_row_and_from_where(make_client: MakeClient) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        app = await Authenticator.add(client, await client.sign_in())
        token = app.tokens["access_token"]
        for _ in range(4):
            assert_problem(await client.step_up(token, code=app.wrong_code()), 401, "invalid-second-factor")
        await eventually(none_waits, client)
        before = server.subjects()
        headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"}
        client.headers.update(headers)
        assert_problem(await client.step_up(token, code=app.wrong_code()), 401, "invalid-second-factor")
        assert_problem(await client.step_up(token, code=app.wrong_code()), 429, "too-many-attempts")
        await server.wait_for(len(before) + 1)
        await eventually(none_waits, client)
    told = "Wrong codes on a device that is signed in to your account"
    assert sorted(server.subjects()) == sorted([*before, told])
    text = text_of(next(mail for mail in server.mails if mail["Subject"] == told))
    assert "Device: Firefox on Linux\nIP address: 127.0.0.1" in text.replace("\r\n", "\n")


async def test_all_sessions_together_have_a_limit_of_wrong_codes(owner: Owner) -> None:
    account = part(owner.old, 1)["sub"]
    await owner.step_up(code=owner.app.wrong_code())
    await StoredAttempts(owner.client).set("codes of sessions", account, failures=99)
    assert_problem(await owner.step_up(code=owner.app.wrong_code()), 401, "invalid-second-factor")
    other = await owner.client.second_factor(await owner.client.challenge(), owner.app.code())
    refused = await owner.client.step_up(other.json()["access_token"], code=owner.app.code(1))
    assert_problem(refused, 429, "too-many-attempts")


async def test_of_many_uses_of_one_code_at_once_one_steps_up(owner: Owner) -> None:
    code = owner.app.code()
    answers = await asyncio.gather(*(owner.step_up(code=code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_a_session_that_has_ended_uses_no_code_up(owner: Owner) -> None:
    stored = StoredSession(owner.client, owner.app.tokens)
    row = await stored.row()
    await stored.change(revoked_at=row["created_at"], revoked_reason="logout")
    code = owner.app.code()
    assert_problem(await owner.step_up(code=code), 401, "invalid-access-token")
    assert (await owner.client.second_factor(await owner.client.challenge(), code)).status_code == 200


async def test_the_trail_tells_of_codes(owner: Owner) -> None:
    await owner.step_up(code=owner.app.wrong_code())
    token = (await owner.step_up(code=owner.app.recovery_codes[0])).json()["access_token"]
    events = {event["event"]: event for event in (await owner.client.export(token)).json()["events"]}
    assert events["factor.code_refused"]["session_id"] == owner.app.tokens["session_id"]
    assert events["recovery_code.used"]["details"] == {"left": 9}
    assert events["step_up.succeeded"]["details"] == {"acr": "aal2"}
