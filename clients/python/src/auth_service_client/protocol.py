"""How a session is kept, without any I/O: what to send, what to keep, and how long to wait.

Each use case is a generator. It yields what is to be done, and is sent what came of it, so that the synchronous and the
asynchronous client do the same. The rules are those of docs/integrating.md, "Keeping a refresh token".
"""

import secrets
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

import httpx2

from auth_service_client.errors import AuthError, Refused, SecondFactorRequired, SignInAgain, TryAgainLater
from auth_service_client.stores import Saved

USER_AGENT = "auth-service-client"
EARLY = 30  # seconds before an access token expires that it is renewed
PATIENCE = 20.0  # seconds that a call takes at most while the service does not answer
ANSWER = 5.0  # seconds for one answer
LONGEST_PAUSE = 60
RENEWALS = 2  # another process may have kept a token that is old by now
SKEW = 5  # seconds that a clock may be set back unnoticed

Result = TypeVar("Result")


@dataclass(frozen=True)
class Keep:
    """Run this with the store held, and send back what it returns."""

    change: Callable[[Saved], Any]


@dataclass(frozen=True)
class Ask:
    """Send this request, and send back the answer, or None if there was none."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """Wait for so many seconds."""

    seconds: float


Step: TypeAlias = Keep | Ask | Wait
Flow: TypeAlias = Generator[Step, Any, Result]


class SessionProtocol:
    """What a process knows of the session beside what is kept: how far the clocks are apart, and when to ask again."""

    def __init__(self) -> None:
        self._ahead: float | None = None
        self._failures, self._ask_again_at = 0, 0.0

    def open_session(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Flow[None]:
        """Send what opens a session, and keep its tokens.

        Raises:
            SecondFactorRequired: something is still missing.
            Refused: the service says no, such as for a wrong password.
            TryAgainLater: there was no answer.
        """
        answer = yield from self.call("POST", path, body, headers)
        said = self._read(answer)
        if "refresh_token" not in said:
            raise AuthError("the answer has no refresh token: is the address that of the service?")
        yield Keep(lambda saved: _replace(saved, said))

    def access_token(self, refused: str | None = None) -> Flow[str]:
        """Return an access token, renewed if need be; `refused` is one that somebody has refused.

        Each attempt begins with a look at what is kept, so a process finds what another one has kept; and the key is
        kept before the token is sent, so that whoever repeats the request repeats it with the same key.

        Raises:
            SignInAgain: there is no session, or it has ended.
            TryAgainLater: there was no answer in twenty seconds; the session is still there.
        """
        give_up_at, pause = time.monotonic() + PATIENCE, 0.0
        while time.monotonic() + pause < give_up_at:
            yield Wait(pause)
            kept = yield Keep(lambda saved: self._to_send(saved, refused))
            if kept is None:
                raise SignInAgain
            left = 0.0 if kept["access_token"] == refused else self._seconds_left(kept)
            if "key" not in kept:
                return str(kept["access_token"])
            pause = max(self._ask_again_at - time.monotonic(), 0)
            if not pause:
                yield from self._refresh(kept)
            elif left > 0:
                return str(kept["access_token"])  # it could not be renewed a moment ago, and is still good
        raise TryAgainLater

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Flow[httpx2.Response]:
        """Send one request to the service; raises as `open_session()`."""
        answer: httpx2.Response | None = yield Ask(method, path, body, headers or {})
        if answer is None:
            raise TryAgainLater
        if answer.is_success:
            return answer
        problem = said_in(answer)
        if answer.is_server_error or "code" not in problem:
            raise TryAgainLater  # of something in between, or the service's trouble
        raise (SecondFactorRequired if "challenge" in problem else Refused)(answer.status_code, problem)

    def call_as_owner(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, token: str | None = None
    ) -> Flow[httpx2.Response]:
        """Send one request with the session's access token, or this one; with others if it is refused.

        Raises:
            SignInAgain: there is no session, or it has ended.
            Refused, TryAgainLater: as `open_session()`.
        """
        sent = token or (yield from self.access_token())
        for _ in range(RENEWALS):
            try:
                return (yield from self.call(method, path, body, _bearer(sent)))
            except Refused as refused:
                if refused.code != "invalid-access-token" or token:
                    raise
            sent = yield from self.access_token(sent)
        return (yield from self.call(method, path, body, _bearer(sent)))

    def replace_session(self, path: str, body: Mapping[str, Any]) -> Flow[None]:
        """Send what ends every session and opens a new one, such as a new password; keep the tokens of the new one.

        Raises as `call_as_owner()`.
        """
        said = self._read((yield from self.call_as_owner("POST", path, body)))
        yield Keep(lambda saved: _replace(saved, said))

    def sign_out(self) -> Flow[bool]:
        """Forget the session here, and end it at the service; return whether the service has taken note.

        Who is signed in anew by another process meanwhile stays so.
        """
        sent: Saved = yield Keep(dict)
        if not sent:
            return True
        yield Keep(lambda saved: saved.clear() if saved.get("session_id") == sent.get("session_id") else None)
        for pause in (0.0, 0.5, 1.0):
            yield Wait(pause)
            answer = yield Ask("POST", "/auth/logout", {"refresh_token": sent["refresh_token"]})
            if answer is not None and answer.is_success:
                return True
        return False

    def _to_send(self, saved: Saved, refused: str | None) -> Saved | None:
        """A copy of what is kept, with a key if it has to be renewed; None if there is no session."""
        if not saved:
            return None
        left = 0.0 if saved["access_token"] == refused else self._seconds_left(saved)
        if left > min(EARLY, saved["expires_in"] / 2):
            return {name: value for name, value in saved.items() if name != "key"}
        saved.setdefault("key", secrets.token_urlsafe(16))
        return dict(saved)

    def _refresh(self, sent: Saved) -> Flow[None]:
        """Ask for new tokens, and keep the answer, unless another process was faster."""
        asked = {"refresh_token": sent["refresh_token"]}
        answer: httpx2.Response | None = yield Ask("POST", "/auth/refresh", asked, {"Idempotency-Key": sent["key"]})
        said = self._read(answer) if answer is not None else {}
        has_ended = said.get("code") == "invalid-refresh-token"
        if not has_ended and "refresh_token" not in said:
            self._failed(answer)
            return
        self._failures = 0
        told = {} if has_ended else said
        yield Keep(lambda saved: _replace(saved, told) if saved.get("refresh_token") == sent["refresh_token"] else None)

    def _failed(self, answer: httpx2.Response | None) -> None:
        wait = answer.headers.get("Retry-After", "") if answer is not None else ""
        seconds = min(int(wait), LONGEST_PAUSE) if wait.isdecimal() else 0.2 * 2**self._failures
        self._ask_again_at = time.monotonic() + seconds
        self._failures = min(self._failures + 1, 5)

    def _read(self, answer: httpx2.Response) -> Saved:
        """What an answer says, and when it was given if it has tokens; nothing if it is none of the service's."""
        said = said_in(answer)
        if "refresh_token" not in said:
            return said
        asked_at = time.time() - answer.elapsed.total_seconds()
        date = answer.headers.get("Date")
        issued_at = parsedate_to_datetime(date).timestamp() if date else asked_at
        self._ahead = issued_at - asked_at
        return {**said, "issued_at": issued_at, "ahead": self._ahead}

    def _seconds_left(self, saved: Mapping[str, Any]) -> float:
        ahead = saved["ahead"] if self._ahead is None else self._ahead
        age = time.time() + ahead - saved["issued_at"]
        return float(saved["expires_in"] - age) if age > -SKEW else 0.0  # from the future: a clock was set back


def _replace(saved: Saved, said: Mapping[str, Any]) -> None:
    saved.clear()
    saved.update(said)


def said_in(answer: httpx2.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
