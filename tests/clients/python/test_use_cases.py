"""What a user does with the Python client, on the double and on the real service on PostgreSQL."""

import stat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from auth_service_client import (
    FileStore,
    MemoryStore,
    Refused,
    SecondFactorRequired,
    SignInAgain,
)

from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD
from tests.support.passkeys import Passkey
from tests.support.python_client import MakeAuth, Service, age, sign_in

NEW_PASSWORD = "another long passphrase"


@pytest.fixture(params=["double", "postgresql"])
def service(request: pytest.FixtureRequest) -> Service:
    if request.param == "double":
        return Service(request.getfixturevalue("auth_double").url)
    running: Service = request.getfixturevalue("service_on_postgresql")
    return running


@pytest.fixture
def service_url(service: Service) -> str:
    return service.url


@pytest.fixture
def passkey() -> Passkey:
    return Passkey()


def made_for(passkey: Passkey, options: Any, service: Service) -> dict[str, Any]:
    return passkey.made_for(options["public_key"], rp_id="localhost", origin=origin(service))


def signed_for(passkey: Passkey, options: Any, service: Service) -> dict[str, Any]:
    return passkey.signed_for(options["public_key"], rp_id="localhost", origin=origin(service))


def origin(service: Service) -> str:
    return service.url.replace("127.0.0.1", "localhost")


def test_an_account_is_made_signed_in_to_renamed_and_deleted(make_auth: MakeAuth) -> None:
    auth = make_auth()
    email = sign_in(auth)
    assert auth.account()["email"] == email
    assert [session["current"] for session in auth.sessions()] == [True]
    name = f"n{uuid4().hex}"
    assert auth.change_username(name)["username"] == name
    assert auth.change_username(None)["username"] is None
    assert auth.request("GET", "/auth/me/export")["account"]["email"] == email
    auth.delete_account(PASSWORD)
    with pytest.raises(SignInAgain):
        auth.account()
    with pytest.raises(Refused, match="wrong"):
        auth.sign_in(PASSWORD, email=email)


def test_a_wrong_password_is_refused_with_the_codes_of_the_service(make_auth: MakeAuth) -> None:
    auth = make_auth()
    with pytest.raises(Refused) as refused:
        auth.sign_in("a wrong guess, and long", email="nobody@example.com")
    assert (refused.value.status, refused.value.code) == (401, "invalid-credentials")
    with pytest.raises(Refused) as refused:
        auth.sign_up("no address", PASSWORD)
    assert (refused.value.code, refused.value.problem["errors"][0]["field"]) == ("validation-error", "email")
    with pytest.raises(SignInAgain):
        auth.access_token()


def test_a_fresh_token_is_kept_and_one_that_ends_soon_is_renewed(make_auth: MakeAuth) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    age(store, 260)
    assert auth.access_token() == first
    age(store, 15)
    second = auth.access_token()
    assert second != first
    assert auth.access_token(refused=second) != second
    assert auth.account()


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


def test_a_new_password_is_a_new_session_and_ends_the_others(make_auth: MakeAuth) -> None:
    store = MemoryStore()
    auth, other = make_auth(store), make_auth()
    other.sign_in(PASSWORD, email=sign_in(auth))
    with store.open() as saved:
        before = dict(saved)
    auth.change_password(PASSWORD, NEW_PASSWORD)
    assert auth.account()
    with store.open() as saved:
        assert saved["session_id"] != before["session_id"]
    with pytest.raises(SignInAgain):
        other.access_token(refused=other.access_token())


def test_other_sessions_are_ended_and_this_one_stays(make_auth: MakeAuth) -> None:
    auth, other, third = make_auth(), make_auth(), make_auth()
    email = sign_in(auth)
    other.sign_in(PASSWORD, email=email)
    third.sign_in(PASSWORD, email=email)
    assert len(auth.sessions()) == 3
    auth.end_session(next(session["id"] for session in auth.sessions() if not session["current"]))
    auth.end_other_sessions()
    assert [session["current"] for session in auth.sessions()] == [True]
    for ended in (other, third):
        with pytest.raises(SignInAgain):
            ended.access_token(refused=ended.access_token())


def test_a_step_up_gives_a_token_for_what_asked_for_it_and_is_not_kept(make_auth: MakeAuth) -> None:
    auth = make_auth()
    sign_in(auth)
    before = auth.access_token()
    surer = auth.step_up(password=PASSWORD)
    assert surer not in {before, auth.access_token()}
    auth.end_other_sessions(surer)
    with pytest.raises(Refused):
        auth.step_up(password="a wrong guess, and long")


def test_an_app_is_added_asked_for_taken_and_removed(make_auth: MakeAuth) -> None:
    auth = make_auth()
    email = sign_in(auth)
    begun = auth.add_totp()
    app = Authenticator(begun["secret"])
    assert len(auth.confirm_totp(begun["id"], app.code())) == 10
    assert auth.account()["email"] == email, "the session of the answer is kept"
    codes = auth.new_recovery_codes()
    with pytest.raises(SecondFactorRequired) as asked:
        auth.sign_in(PASSWORD, email=email)
    assert set(asked.value.methods) == {"totp", "recovery_code"}
    assert (asked.value.expires_in, asked.value.public_key) == (300, None)
    with pytest.raises(Refused):
        auth.second_factor(asked.value.challenge, "000000")
    auth.second_factor(asked.value.challenge, codes[0])
    factors = auth.factors()
    assert ([factor["kind"] for factor in factors["items"]], factors["recovery_codes_left"]) == (["totp"], 9)
    auth.remove_factor(factors["items"][0]["id"], auth.step_up(code=codes[1]))
    assert auth.factors()["items"] == []
    auth.sign_in(PASSWORD, email=email)


def test_a_passkey_is_added_signs_in_and_proves_who_it_is(
    make_auth: MakeAuth, service: Service, passkey: Passkey
) -> None:
    auth = make_auth()
    email = sign_in(auth)
    options = auth.new_passkey_options()
    assert len(auth.add_passkey(options["challenge"], made_for(passkey, options, service), "A phone")) == 10
    assert auth.account()["email"] == email, "the session of the answer is kept"
    (added,) = auth.factors()["items"]
    assert auth.rename_passkey(added["id"], "An old phone")["name"] == "An old phone"
    with pytest.raises(SecondFactorRequired) as asked:
        auth.sign_in(PASSWORD, email=email)
    options = {"public_key": asked.value.public_key}
    auth.second_factor(asked.value.challenge, credential=signed_for(passkey, options, service))
    options = auth.passkey_options()
    auth.sign_in_with_passkey(options["challenge"], signed_for(passkey, options, service))
    options = auth.step_up_options()
    surer = auth.step_up(challenge=options["challenge"], credential=signed_for(passkey, options, service))
    auth.remove_factor(added["id"], surer)
    with pytest.raises(Refused, match="two passkeys"):
        auth.remove_password()


def test_the_links_of_mails_verify_an_address_change_it_and_reset_the_password(
    make_auth: MakeAuth, service: Service
) -> None:
    auth, stranger = make_auth(), make_auth()
    if service.link is None:
        with pytest.raises(Refused) as refused:
            auth.reset_password("lnk_unknown", NEW_PASSWORD)
        assert refused.value.code == "invalid-link"
        return
    email, new = sign_in(auth), f"{uuid4().hex}@example.com"
    first = service.link(email, "verify-email")
    with pytest.raises(Refused) as refused:
        stranger.verify_email(first)
    assert refused.value.code == "password-required"
    stranger.request_verification(email)
    auth.verify_email(service.link(email, "verify-email"))
    assert auth.account()["is_verified"]
    auth.change_email(new, PASSWORD)
    assert stranger.confirm_email(service.link(email, "confirm-email")) == "waiting"
    assert stranger.confirm_email(service.link(new, "confirm-email"), password=PASSWORD) == "changed"
    assert auth.account()["email"] == new
    stranger.forgot_password(new)
    stranger.reset_password(service.link(new, "reset-password"), NEW_PASSWORD)
    with pytest.raises(SignInAgain):
        auth.access_token(refused=auth.access_token())
    auth.sign_in(NEW_PASSWORD, email=new)


def test_what_changes_is_told_once_by_whichever_process(make_auth: MakeAuth, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "session.json")
    told: dict[str, list[str]] = {"one": [], "other": []}
    one, other = (make_auth(store, on_change=told[name].append) for name in told)
    email = sign_in(one)
    other.access_token()
    age(store)
    one.access_token()
    for _ in range(2):
        other.access_token()
    assert told == {"one": ["signed-in", "renewed"], "other": ["renewed"]}
    other.sign_out()
    with pytest.raises(SignInAgain):
        one.access_token()
    one.sign_in(PASSWORD, email=email)
    one.change_password(PASSWORD, NEW_PASSWORD)
    assert told["one"][2:] == ["signed-out", "signed-in", "signed-in"]
    assert told["other"][1:] == ["signed-out"]
    other.delete_account(token=other.step_up(password=NEW_PASSWORD))
    assert told["other"][2:] == ["signed-in", "signed-out"]
