"""The shape of the Python client: the same methods in both classes, with the types of what the service answers."""

import inspect
from typing import Any, assert_type, is_typeddict

import auth_service_client
import httpx2
import pytest
from auth_service_client import Account, AsyncAuthClient, AuthClient, MemoryStore, SessionItem, SignInAgain

from tests.support.client import PASSWORD
from tests.support.document import document

OF_ONE_KIND = {"access_token", "bearer", "close"}  # they wait differently


def methods(kind: type) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_and_each_says_what_it_is_for() -> None:
    sync, other = methods(AuthClient), methods(AsyncAuthClient)
    assert set(sync) == set(other)
    assert len(sync) > 30
    for name, method in sync.items():
        assert inspect.getdoc(method), name
        assert "Generator" not in str(inspect.signature(method)), "help() says what a caller gets"
        assert name in OF_ONE_KIND or method is other[name], "written once"


def test_methods_of_a_client_look_like_what_they_are() -> None:
    sync, other = AuthClient("https://auth.example.com"), AsyncAuthClient("https://auth.example.com")
    assert str(inspect.signature(sync.change_username)).startswith("(username: str | None, token: str | None = None)")
    assert inspect.getdoc(other.account) == "Return the account of the user."
    assert inspect.iscoroutinefunction(other.account)
    assert not inspect.iscoroutinefunction(sync.account)
    sync.close()


def test_one_of_several_ways_is_asked_for_before_anything_is_sent() -> None:
    with AuthClient("https://auth.example.com") as auth:
        for both in ({}, {"email": "ada@example.com", "username": "ada"}):
            with pytest.raises(ValueError, match="one of email and username"):
                auth.sign_in(PASSWORD, **both)
        with pytest.raises(ValueError, match="one of password and code and credential"):
            auth.step_up()
        with pytest.raises(ValueError, match="one of code and credential"):
            auth.second_factor("chl_", "123456", credential={})


@pytest.mark.parametrize(
    "path",
    [
        "@evil.example/",
        ".evil.example/",
        ":1/",
        "auth/me",
        "",
        "https://evil.example",
        "/auth/me\r\nX: y",
        "/\x00",
        "/" + "a" * 70_000,
    ],
)
def test_a_token_goes_to_no_other_host_than_the_services(path: str) -> None:
    sent: list[httpx2.Request] = []
    with httpx2.Client(transport=httpx2.MockTransport(sent.append)) as http:  # type: ignore[arg-type]
        auth = AuthClient("https://auth.example.com", MemoryStore(), http)
        with pytest.raises(ValueError, match="/auth/me"):
            auth.request("GET", path)
    assert sent == []


def test_a_service_that_does_not_tell_who_has_an_account_returns_none() -> None:
    answer = httpx2.Response(202, json={"status": "accepted"})
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as http:
        assert AuthClient("https://auth.example.com", http=http).sign_up("ada@example.com", PASSWORD) is None


async def test_what_they_return_has_a_type() -> None:
    with AuthClient("https://auth.example.com") as auth, pytest.raises(SignInAgain):
        assert_type(auth.account(), Account)
    async with AsyncAuthClient("https://auth.example.com") as waiting:
        with pytest.raises(SignInAgain):
            assert_type(await waiting.sessions(), list[SessionItem])
        assert_type(await waiting.sign_out(), bool)


def test_the_types_of_answers_are_those_of_the_document() -> None:
    kinds = {name: kind for name, kind in vars(auth_service_client).items() if is_typeddict(kind)}
    assert len(kinds) > 8
    for name, kind in kinds.items():
        schema = document()["components"]["schemas"][name]
        assert set(kind.__annotations__) == set(schema["properties"]), name
        assert kind.__required_keys__ == set(schema["required"]), name
