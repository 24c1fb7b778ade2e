"""What a user does with an account, one generator each, for both clients."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from auth_service_client.protocol import Flow, SessionProtocol, said_in


def sign_up(session: SessionProtocol, email: str, password: str, username: str | None) -> Flow[dict[str, Any]]:
    body = {"email": email, "password": password, **({} if username is None else {"username": username})}
    return said_in((yield from session.call("POST", "/auth/register", body)))


def sign_in(session: SessionProtocol, password: str, email: str | None, username: str | None) -> Flow[None]:
    if (email is None) == (username is None):
        raise ValueError("give one of email and username")
    name = {"username": username} if email is None else {"email": email}
    yield from session.open_session("/auth/login", {**name, "password": password})


def second_factor(session: SessionProtocol, challenge: str, code: str) -> Flow[None]:
    yield from session.open_session("/auth/login/second-factor", {"challenge": challenge, "code": code})


def enrol(session: SessionProtocol, challenge: str) -> Flow[dict[str, Any]]:
    return said_in((yield from session.call("POST", "/auth/login/enrol", {"challenge": challenge})))


def confirm_enrolment(session: SessionProtocol, challenge: str, code: str) -> Flow[list[str]]:
    said = yield from session.open_session("/auth/login/enrol/confirm", {"challenge": challenge, "code": code})
    return _codes_of(said)


def step_up(session: SessionProtocol, password: str | None, code: str | None) -> Flow[str]:
    if (password is None) == (code is None):
        raise ValueError("give one of password and code")
    proof = {"code": code} if password is None else {"password": password}
    return str(said_in((yield from session.call_as_owner("POST", "/auth/step-up", proof)))["access_token"])


def account(session: SessionProtocol) -> Flow[dict[str, Any]]:
    return said_in((yield from session.call_as_owner("GET", "/auth/me")))


def sessions(session: SessionProtocol) -> Flow[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = said_in((yield from session.call_as_owner("GET", f"/auth/sessions?limit=100{cursor}")))
        found += page["items"]
        cursor = f"&cursor={quote(page['next_cursor'])}" if page["next_cursor"] else None
    return found


def end_session(session: SessionProtocol, session_id: str, token: str | None) -> Flow[None]:
    yield from session.call_as_owner("DELETE", f"/auth/sessions/{quote(session_id, safe='')}", token=token)


def end_other_sessions(session: SessionProtocol, token: str | None) -> Flow[None]:
    yield from session.call_as_owner("DELETE", "/auth/sessions", token=token)


def change_password(session: SessionProtocol, current: str, new: str, token: str | None) -> Flow[None]:
    body = {"current_password": current, "new_password": new}
    yield from session.keep((yield from session.call_as_owner("POST", "/auth/me/password", body, token)))


def add_totp(session: SessionProtocol, token: str | None) -> Flow[dict[str, Any]]:
    return said_in((yield from session.call_as_owner("POST", "/auth/me/totp", token=token)))


def confirm_totp(session: SessionProtocol, factor_id: str, code: str) -> Flow[list[str]]:
    path = f"/auth/me/totp/{quote(factor_id, safe='')}/confirm"
    answer = yield from session.call_as_owner("POST", path, {"code": code})
    return _codes_of((yield from session.keep(answer)))


def _codes_of(said: Mapping[str, Any]) -> list[str]:
    """The recovery codes, which come with the first factor alone."""
    return list(said.get("recovery_codes") or ())
