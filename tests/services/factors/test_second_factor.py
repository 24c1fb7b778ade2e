"""A login in two steps: the password leads to a challenge, and a code for it to the session."""

import pytest

from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem


@pytest.fixture
async def app(ada: Client) -> Authenticator:
    """The authenticator app of ada's account; the code of now is unused."""
    return await Authenticator.add(ada, await ada.sign_in())


@pytest.mark.parametrize("name", [{"email": "ada@example.com"}, {"username": "ada"}], ids=["email", "username"])
async def test_a_right_password_gives_a_challenge_and_nothing_else(
    ada: Client, app: Authenticator, name: dict[str, str]
) -> None:
    sessions = await ada.sessions(app.tokens["access_token"], ended=True)
    answer = await ada.post("/auth/login", json={**name, "password": PASSWORD})
    assert_problem(answer, 403, "second-factor-required")
    told = answer.json()
    assert told["challenge"].startswith("chl_")
    assert (told["methods"], told["expires_in"]) == (["totp", "recovery_code"], 300)
    assert "set-cookie" not in answer.headers
    assert not any("token" in member for member in told)
    assert await ada.sessions(app.tokens["access_token"], ended=True) == sessions


async def test_a_code_of_the_app_opens_the_session(ada: Client, app: Authenticator) -> None:
    answer = await ada.second_factor(await ada.challenge(), app.code())
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert (await ada.refresh(answer.json()["refresh_token"])).status_code == 200


async def test_a_recovery_code_opens_the_session(ada: Client, app: Authenticator) -> None:
    answer = await ada.second_factor(await ada.challenge(), app.recovery_codes[0])
    assert answer.status_code == 200, answer.text
    assert (await ada.factors(answer.json()["access_token"]))["recovery_codes_left"] == 9
