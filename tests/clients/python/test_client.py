"""The Python client with the test double: what signs a user out, and what never does."""

import json
import stat
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from auth_service_client import FileStore, MemoryStore, Refused, SecondFactorRequired, SignInAgain, TryAgainLater

from auth_service.testing.double import Double
from tests.clients.python.conftest import MakeAuth, sign_in
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD

REFRESH = "POST /auth/refresh"
NEW_PASSWORD = "another long passphrase"
LOSSES: list[dict[str, Any]] = [
    {"fault": "lose-request"},
    {"fault": "lose-answer"},
    {"fault": "unavailable", "seconds": 0},
]


def age(store: Any, seconds: float = 3600) -> None:
    """Let so much time have passed since the tokens were kept, by the client's clock."""
    with store.open() as saved:
        saved["issued_at"] -= seconds


def add_app(auth: Any, url: str) -> list[str]:
    """Add an app to the account, past the client, and return the recovery codes."""
    bearer = {"Authorization": f"Bearer {auth.access_token()}"}
    with httpx2.Client(base_url=url, headers=bearer) as http:
        begun = http.post("/auth/me/totp").raise_for_status().json()
        code = {"code": Authenticator(begun["secret"]).code()}
        told = http.post(f"/auth/me/totp/{begun['id']}/confirm", json=code).raise_for_status().json()
    codes: list[str] = told["recovery_codes"]
    return codes


def test_an_account_is_made_signed_in_to_and_known(auth: Any) -> None:
    assert auth.account()["email"].endswith("@example.com")
    assert [session["current"] for session in auth.sessions()] == [True]


def test_a_wrong_password_is_refused_with_the_codes_of_the_service(make_auth: MakeAuth) -> None:
    auth = make_auth()
    with pytest.raises(Refused) as refused:
        auth.sign_in("a wrong guess, and long", email="nobody@example.com")
    assert (refused.value.status, refused.value.code) == (401, "invalid-credentials")
    with pytest.raises(Refused) as refused:
        auth.sign_up("no address", PASSWORD)
    assert (refused.value.code, refused.value.problem["errors"][0]["field"]) == ("validation-error", "email")
    for both in ({}, {"email": "ada@example.com", "username": "ada"}):
        with pytest.raises(ValueError, match="one of email and username"):
            auth.sign_in(PASSWORD, **both)


def test_without_a_session_there_is_no_token(make_auth: MakeAuth) -> None:
    with pytest.raises(SignInAgain):
        make_auth().access_token()


def test_a_fresh_token_is_kept_and_one_that_ends_soon_is_renewed(make_auth: MakeAuth) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    age(store, 260)
    assert auth.access_token() == first
    age(store, 15)
    assert auth.access_token() != first
    assert auth.account()


@pytest.mark.parametrize("loss", LOSSES, ids=[str(loss["fault"]) for loss in LOSSES])
def test_a_refresh_that_fails_is_made_again_and_signs_nobody_out(
    make_auth: MakeAuth, auth_double: Double, loss: dict[str, Any]
) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    age(store)
    auth_double.switch_faults({"route": REFRESH, "times": 2, **loss})
    assert auth.access_token() != first
    assert auth.account()


def test_the_key_of_a_lost_refresh_is_kept_over_a_restart_and_the_grace(
    make_auth: MakeAuth, auth_double: Double, tmp_path: Path
) -> None:
    store = FileStore(tmp_path / "session.json")
    auth = make_auth(store)
    sign_in(auth)
    age(store, 280)
    auth_double.switch_faults(
        {"route": REFRESH, "fault": "lose-answer"}, {"route": REFRESH, "fault": "unavailable", "times": None}
    )
    auth.access_token()  # still good for a while
    auth_double.switch_faults()
    auth_double.set_clock(3600)
    age(store)
    assert make_auth(FileStore(tmp_path / "session.json")).account()


def test_an_outage_ends_no_session(make_auth: MakeAuth, auth_double: Double) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    still_good = auth.access_token()
    age(store, 280)
    auth_double.switch_faults({"route": REFRESH, "fault": "unavailable", "times": None, "seconds": 60})
    assert auth.access_token() == still_good, "it has some seconds left"
    age(store)
    with pytest.raises(TryAgainLater):
        auth.access_token()
    auth_double.switch_faults()
    with store.open() as saved:
        assert saved["refresh_token"].startswith("art_")


def test_only_the_end_of_the_session_signs_the_user_out(make_auth: MakeAuth, auth_double: Double) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    auth_double.set_clock(15 * 86_400)
    age(store)
    with pytest.raises(SignInAgain):
        auth.access_token()
    with store.open() as saved:
        assert saved == {}


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_clock_that_is_wrong_by_ten_minutes_makes_no_difference(
    make_auth: MakeAuth, auth_double: Double, ahead: int
) -> None:
    auth_double.set_clock(ahead)
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    assert auth.access_token() == first
    age(store, 280)
    assert auth.access_token() != first


def test_a_token_that_an_api_refuses_is_renewed_once(auth: Any, auth_double: Double) -> None:
    first = auth.access_token()
    auth_double.set_clock(600)  # while the client slept, and its clock with it
    assert auth.account()
    assert auth.access_token() != first


def test_processes_that_share_a_file_share_the_session_and_its_end(make_auth: MakeAuth, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "session.json"
    one, other = make_auth(FileStore(path)), make_auth(FileStore(path))
    sign_in(one)
    age(FileStore(path))
    assert one.access_token() == other.access_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert other.sign_out()
    with pytest.raises(SignInAgain):
        one.access_token()


def test_a_sign_out_forgets_the_session_also_when_the_service_cannot_be_told(
    make_auth: MakeAuth, auth_double: Double
) -> None:
    auth = make_auth()
    sign_in(auth)
    auth_double.switch_faults({"route": "POST /auth/logout", "fault": "lose-request", "times": None})
    assert not auth.sign_out()
    with pytest.raises(SignInAgain):
        auth.access_token()
    assert auth.sign_out(), "nobody is signed in"


def test_a_file_that_is_no_session_is_none(make_auth: MakeAuth, tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    for content in ("", "{", "[1]", '"x"'):
        path.write_text(content)
        auth = make_auth(FileStore(path))
        with pytest.raises(SignInAgain):
            auth.access_token()
        sign_in(auth)
        assert json.loads(path.read_text())["session_id"]


def test_a_new_password_is_a_new_session(make_auth: MakeAuth) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    with store.open() as saved:
        before = dict(saved)
    auth.change_password(PASSWORD, NEW_PASSWORD)
    assert auth.account()
    with store.open() as saved:
        assert saved["session_id"] != before["session_id"]


def test_other_sessions_are_ended_and_this_one_stays(make_auth: MakeAuth) -> None:
    auth, other = make_auth(), make_auth()
    email = sign_in(auth)
    other.sign_in(PASSWORD, email=email)
    assert len(auth.sessions()) == 2
    auth.end_other_sessions()
    assert [session["current"] for session in auth.sessions()] == [True]
    with pytest.raises(SignInAgain):
        other.account()


def test_a_second_factor_is_asked_for_and_taken(make_auth: MakeAuth, auth_double: Double) -> None:
    auth = make_auth()
    email = sign_in(auth)
    codes = add_app(auth, auth_double.url)
    with pytest.raises(SecondFactorRequired) as asked:
        auth.sign_in(PASSWORD, email=email)
    assert set(asked.value.methods) == {"totp", "recovery_code"}
    assert asked.value.expires_in == 300
    with pytest.raises(Refused):
        auth.second_factor(asked.value.challenge, "000000")
    auth.second_factor(asked.value.challenge, codes[0])
    assert auth.account()["email"] == email


def test_a_step_up_gives_a_token_for_what_asked_for_it_and_is_not_kept(auth: Any) -> None:
    before = auth.access_token()
    surer = auth.step_up(password=PASSWORD)
    assert surer not in {before, auth.access_token()}
    with pytest.raises(Refused):
        auth.step_up(password="a wrong guess, and long")
    with pytest.raises(ValueError, match="one of password and code"):
        auth.step_up()


def test_an_old_sign_in_ends_other_sessions_with_the_token_of_a_step_up(auth: Any, auth_double: Double) -> None:
    auth_double.set_clock(3600)
    with pytest.raises(Refused) as refused:
        auth.end_other_sessions()
    assert refused.value.code == "step-up-required"
    auth.end_other_sessions(auth.step_up(password=PASSWORD))


def test_a_file_that_another_process_holds_for_good_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "session.json")
    started = time.monotonic()
    with store.open(), pytest.raises(TimeoutError, match="locked"), FileStore(tmp_path / "session.json").open():
        pass
    assert 4 < time.monotonic() - started < 20
