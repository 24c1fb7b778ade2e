"""How a session is kept, without any I/O: what to send, what to keep, and how long to wait.

Each use case is a generator. It yields what is to be done, and is sent what came of it, so that the synchronous and the
asynchronous client do the same. The rules are those of docs/protocol.md.
"""

import inspect
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx2

from auth_service_client.errors import (
    EnrolmentRequired,
    Refused,
    SecondFactorRequired,
    SignInAgain,
    TryAgainLater,
)
from auth_service_client.steps import ANSWER, Answer, Ask, Flow, Keep, Result, Wait, said_in
from auth_service_client.stores import Saved

USER_AGENT = "auth-service-client"
EARLY = 30  # seconds before an access token expires that it is renewed
PATIENCE = 20.0  # seconds
LONGEST_PAUSE = 60
RENEWALS = 2  # another process may have kept a token that is old by now
KEPT = ("access_token", "refresh_token", "session_id", "expires_in")
LARGEST_NUMBER = 1e12  # seconds: later than any date
VISIBLE = re.compile(r"[!-~]+")  # what a token and a key are made of
NO_ANSWER = "what came is no answer of the service: is the address right?"
SKEW = 5  # seconds that a clock may be set back unnoticed

Change = Literal["signed-in", "renewed", "signed-out"]
OnChange = Callable[[Change], object]


class SessionProtocol:
    """What a process knows of the session beside what is kept: how far the clocks are apart, when to ask again, and
    what it has seen last.
    """

    def __init__(self, patience: float, on_change: OnChange | None) -> None:
        if any(map(inspect.iscoroutinefunction, (on_change, getattr(on_change, "__call__", None)))):  # noqa: B004
            raise ValueError("on_change must be a function that is not async: nothing would wait for it")
        self.patience = patience
        self._on_change = on_change
        self._seen: tuple[Any, Any] | None = None
        self._has_looked = False
        self._ahead: float | None = None
        self._failures, self._ask_again_at, self._last = 0, 0.0, "no answer in time"

    def open_session(self, path: str, body: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        """Send what opens a session, keep its tokens, and return what the answer says.

        Raises:
            SecondFactorRequired: something is still missing.
            EnrolmentRequired, Refused: one must be added first; or the service says no, such as for a wrong password.
            TryAgainLater: there was no answer, or one without tokens, which is not of the service.
        """
        answer = yield from self.call("POST", path, body)
        if not self._tokens_in(answer):
            raise TryAgainLater(NO_ANSWER)
        return (yield from self.keep(answer))

    def keep(self, answer: Answer) -> Flow[dict[str, Any]]:
        """Keep the tokens of an answer, if it has any, in place of those from before; return what it says."""
        if tokens := self._tokens_in(answer):
            yield from self._look(lambda saved: _replace(saved, tokens))
        return said_in(answer)

    def access_token(self, refused: str | None = None) -> Flow[str]:
        """Return an access token, renewed if need be; `refused` is one that somebody has refused.

        Each attempt begins with a look at what is kept, so a process finds what another one has kept; and the key is
        kept before the token is sent, so that whoever repeats the request repeats it with the same key.

        Raises:
            SignInAgain: there is no session, or it has ended.
            TryAgainLater: there was no answer in time; the session is still there.
        """
        give_up_at, pause, came = time.monotonic() + self.patience, 0.0, ""
        while time.monotonic() + pause < give_up_at:
            yield Wait(pause)
            kept = yield from self._look(lambda saved: self._to_send(saved, refused))
            if kept is None:
                raise SignInAgain
            left = 0.0 if kept["access_token"] == refused else self._seconds_left(kept)
            if "key" not in kept or kept["access_token"] == came:
                return str(kept["access_token"])  # or it has just come, and would be no fresher for another refresh
            pause = max(self._ask_again_at - time.monotonic(), 0)
            if not pause:
                came = yield from self._refresh(kept)
            elif left > 0:
                return str(kept["access_token"])  # it could not be renewed a moment ago, and is still good
        retry_after = max(self._ask_again_at - time.monotonic(), 0)
        raise TryAgainLater(f"the session could not be renewed: {self._last}", retry_after)

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Flow[Answer]:
        """Send one request to the service; raises as `open_session()`."""
        answer: Answer | httpx2.HTTPError = yield Ask(method, path, body, headers or {})
        if isinstance(answer, httpx2.HTTPError):
            raise TryAgainLater(f"no answer from the service: {answer or type(answer).__name__}") from answer
        status, said = answer.response.status_code, said_in(answer)
        if answer.response.is_success and (said or status == httpx2.codes.NO_CONTENT):
            return answer
        if answer.response.is_server_error or "code" not in said:
            raise TryAgainLater(_reason(answer), max(_retry_after(answer), 0))
        kind: type[Refused] = SecondFactorRequired if "challenge" in said else Refused
        try:
            refused = (EnrolmentRequired if said["code"] == "second-factor-enrolment-required" else kind)(status, said)
        except (TypeError, ValueError, OverflowError) as error:
            raise TryAgainLater(NO_ANSWER) from error
        raise refused

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, token: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Send one request with the session's access token, or this one; keep the tokens of the answer, if it has any,
        and return what it says.

        Raises:
            SignInAgain: there is no session, or it has ended.
            Refused, TryAgainLater: as `open_session()`.
        """
        answer = yield from self._call_as_owner(method, path, body, token)
        return (yield from self.keep(answer))

    def is_signed_in(self) -> Flow[bool]:
        """Return whether there is a session here; the service is not asked."""
        return (yield from self._look(_are_tokens))

    def forget(self) -> Flow[Saved]:
        """Forget the session, and return it; nothing if there was none."""
        return (yield from self._look(_taken_out))

    def _call_as_owner(self, method: str, path: str, body: Mapping[str, Any] | None, token: str | None) -> Flow[Answer]:
        """As `request()`; with another of the session's tokens if one is refused."""
        sent = token or (yield from self.access_token())
        for _ in range(RENEWALS):
            try:
                return (yield from self.call(method, path, body, _bearer(sent)))
            except Refused as refused:
                if refused.code != "invalid-access-token" or token:
                    raise
            sent = yield from self.access_token(sent)
        return (yield from self.call(method, path, body, _bearer(sent)))

    def sign_out(self) -> Flow[bool]:
        """Forget the session here, and end it at the service; return whether nothing is left to end.

        Who is signed in anew by another process meanwhile stays so. Somebody waits: all attempts together have the time
        of one answer. What is told of it may raise: the service is told all the same.
        """
        sent, changed = yield Keep(lambda saved: self._noticed(saved, _taken_out))
        try:
            self._tell(changed)
        finally:
            is_told = yield from self._end(sent)
        return is_told

    def _end(self, sent: Saved) -> Flow[bool]:
        """End this session at the service, if it is one."""
        if not sent:
            return True
        give_up_at = time.monotonic() + ANSWER
        for pause in (0.0, 0.5, 1.0):
            if (left := give_up_at - time.monotonic() - pause) <= 0:
                break
            yield Wait(pause)
            answer = yield Ask("POST", "/auth/logout", {"refresh_token": sent.get("refresh_token")}, within=left)
            if isinstance(answer, Answer) and answer.response.status_code == httpx2.codes.NO_CONTENT:
                return True
        return False

    def _look(self, change: Callable[[Saved], Result]) -> Flow[Result]:
        """Run this with the store held, and tell what has changed since the last time, by whatever process."""
        result: Result
        result, changed = yield Keep(lambda saved: self._noticed(saved, change))
        self._tell(changed)
        return result

    def _tell(self, changed: Change | None) -> None:
        if changed and self._on_change:
            self._on_change(changed)

    def _noticed(self, saved: Saved, change: Callable[[Saved], Result]) -> tuple[Result, Change | None]:
        before = self._seen if self._has_looked else _identity(saved)
        result = change(saved)
        self._seen, self._has_looked = _identity(saved), True
        return result, _difference(before, self._seen)

    def _to_send(self, saved: Saved, refused: str | None) -> Saved | None:
        """A copy of what is kept, with a key if it has to be renewed; None if there is no session."""
        if not _are_tokens(saved):
            return None
        left = 0.0 if saved["access_token"] == refused else self._seconds_left(saved)
        if left > min(EARLY, saved["expires_in"] / 2):
            return {name: value for name, value in saved.items() if name != "key"}
        if not _is_sendable(saved.get("key")):
            saved["key"] = secrets.token_urlsafe(16)
        return dict(saved)

    def _refresh(self, sent: Saved) -> Flow[str]:
        """Ask for new tokens, and keep the answer, unless another process was faster; return the access token of it."""
        asked = {"refresh_token": sent["refresh_token"]}
        came: Answer | httpx2.HTTPError = yield Ask("POST", "/auth/refresh", asked, {"Idempotency-Key": sent["key"]})
        answer = came if isinstance(came, Answer) else None
        tokens = self._tokens_in(answer) if answer else {}
        if not tokens and not (answer and _ends_the_session(answer)):
            self._failed(came)
            return ""
        self._failures = 0
        yield from self._look(
            lambda saved: _replace(saved, tokens) if saved.get("refresh_token") == asked["refresh_token"] else None
        )
        return str(tokens.get("access_token", ""))

    def _failed(self, came: Answer | httpx2.HTTPError) -> None:
        told = _retry_after(came) if isinstance(came, Answer) else 0.0
        seconds = min(told, LONGEST_PAUSE) if told > 0 else 0.2 * 2**self._failures
        self._ask_again_at = time.monotonic() + seconds
        self._failures = min(self._failures + 1, 5)
        self._last = _reason(came) if isinstance(came, Answer) else type(came).__name__

    def _tokens_in(self, answer: Answer) -> Saved:
        """The tokens of an answer, and when they were given, by the service's clock; nothing if it has none."""
        said = said_in(answer)
        given = {**said, "issued_at": answer.asked_at, "ahead": 0.0}
        if not answer.response.is_success or not _are_tokens(given):
            return {}
        with suppress(KeyError, ValueError, TypeError):
            given["issued_at"] = _time_of(answer.response.headers["Date"])
        self._ahead = given["issued_at"] - answer.asked_at
        return {**{name: given[name] for name in KEPT}, "issued_at": given["issued_at"], "ahead": self._ahead}

    def _seconds_left(self, saved: Mapping[str, Any]) -> float:
        ahead = saved["ahead"] if self._ahead is None else self._ahead
        age = time.time() + ahead - saved["issued_at"]
        return float(saved["expires_in"] - age) if age > -SKEW else 0.0  # from the future: a clock was set back


def _reason(answer: Answer) -> str:
    """What came in place of an answer that is good for something: in the service's words, if it is of the service."""
    status, said = answer.response.status_code, said_in(answer)
    if "code" in said and isinstance(said.get("detail"), str):
        return f"status {status}: {said['detail']}"
    return f"status {status} in place of an answer of the service"


def _retry_after(answer: Answer) -> float:
    """Seconds to wait, told as a number or as a date (RFC 9110, section 10.2.3); 0 if that is not told."""
    headers = answer.response.headers
    told = headers.get("Retry-After", "")
    if told.isdecimal():
        return int(told[:6])
    now = answer.asked_at
    with suppress(KeyError, ValueError, TypeError):
        now = _time_of(headers["Date"])
    with suppress(ValueError, TypeError):
        return _time_of(told) - now
    return 0.0


def _time_of(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()


def _replace(saved: Saved, said: Mapping[str, Any]) -> None:
    saved.clear()
    saved.update(said)


def _taken_out(saved: Saved) -> Saved:
    taken = dict(saved)
    saved.clear()
    return taken


def _identity(saved: Mapping[str, Any]) -> tuple[Any, Any] | None:
    return (saved["session_id"], saved["access_token"]) if _are_tokens(saved) else None


def _difference(before: tuple[Any, Any] | None, now: tuple[Any, Any] | None) -> Change | None:
    if now == before:
        return None
    if now is None:
        return "signed-out"
    return "renewed" if before and before[0] == now[0] else "signed-in"


def _ends_the_session(answer: Answer) -> bool:
    """By its code too: another 401 comes from something in between."""
    is_refused = answer.response.status_code == httpx2.codes.UNAUTHORIZED
    return is_refused and said_in(answer).get("code") == "invalid-refresh-token"


def _are_tokens(saved: Mapping[str, Any]) -> bool:
    """Whether all is there that a session is kept by; a file may have been written by another program."""
    texts = all(_is_sendable(saved.get(name)) for name in ("access_token", "refresh_token", "session_id"))
    numbers = all(_is_number(saved.get(name)) for name in ("expires_in", "issued_at", "ahead"))
    return texts and numbers and saved["expires_in"] > 0


def _is_number(found: object) -> bool:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return -LARGEST_NUMBER < found < LARGEST_NUMBER  # nor NaN


def _is_sendable(found: object) -> bool:
    return isinstance(found, str) and VISIBLE.fullmatch(found) is not None


def _bearer(token: str) -> dict[str, str]:
    """
    Raises:
        ValueError: it could not be sent, such as with a line break.
    """
    if not _is_sendable(token):
        raise ValueError("this is no token of the service")
    return {"Authorization": f"Bearer {token}"}
