"""What a user does with an account, one generator each, for both clients."""

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


def change_password(session: SessionProtocol, current_password: str, new_password: str) -> Flow[None]:
    body = {"current_password": current_password, "new_password": new_password}
    yield from session.replace_session("/auth/me/password", body)
