"""The client for synchronous code; any number of threads may share one."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx2

from auth_service_client import use_cases
from auth_service_client.bearer import Bearer, StepUpAsked
from auth_service_client.protocol import (
    ANSWER,
    PATIENCE,
    USER_AGENT,
    Answer,
    Ask,
    Flow,
    Keep,
    Result,
    SessionProtocol,
    Step,
    checked,
)
from auth_service_client.stores import MemoryStore, Store


class AuthClient:
    """Signs one user in, and keeps the session.

    `url` is that of the service, `store` is where the session is kept (in memory unless given), and `http` is what
    sends the requests; it is yours to close. `patience` is how many seconds a call for an access token may take while
    the service does not answer.

    Every method raises `TryAgainLater` where there is no answer, `Refused` where the service says no, and those for
    the owner of a session `SignInAgain` where there is none or it has ended.
    """

    def __init__(
        self, url: str, store: Store | None = None, http: httpx2.Client | None = None, patience: float = PATIENCE
    ) -> None:
        self._url = checked(url)
        self._store = store if store is not None else MemoryStore()
        self._http = http or httpx2.Client(headers={"User-Agent": USER_AGENT})
        self._is_own = http is None
        self._session = SessionProtocol(patience)
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the session stays."""
        if self._is_own:
            self._http.close()

    def sign_up(self, email: str, password: str, username: str | None = None) -> dict[str, Any]:
        """Register an account and return it. It is not signed in."""
        return self._run(use_cases.sign_up(self._session, email, password, username))

    def sign_in(self, password: str, *, email: str | None = None, username: str | None = None) -> None:
        """Sign in by one of the two names, and keep the session in place of any other.

        Raises:
            SecondFactorRequired: the password is right, and `second_factor()` comes next.
            EnrolmentRequired: the password is right, and `enrol()` comes next.
        """
        self._run(use_cases.sign_in(self._session, password, email, username))

    def second_factor(self, challenge: str, code: str) -> None:
        """Finish a sign-in with a code of the app or a recovery code."""
        self._run(use_cases.second_factor(self._session, challenge, code))

    def enrol(self, challenge: str) -> dict[str, Any]:
        """Begin to add the second factor that the account must have: `secret` and `otpauth_uri` of an app, or
        `public_key` for a passkey. The same however often it is asked for.
        """
        return self._run(use_cases.enrol(self._session, challenge))

    def confirm_enrolment(self, challenge: str, code: str) -> list[str]:
        """Finish the sign-in with the app's first code; return the recovery codes, which nobody can show again."""
        return self._run(use_cases.confirm_enrolment(self._session, challenge, code))

    def sign_out(self) -> bool:
        """Forget the session, and end it at the service; return whether the service has taken note."""
        return self._run(self._session.sign_out())

    def access_token(self, refused: str | None = None) -> str:
        """Return an access token that is good for a while; `refused` is one that an API has refused.

        Threads wait for each other's refresh, for as long as one may take; without that the service still answers all.
        """
        has_turn = self._turn.acquire(timeout=self._session.patience)
        try:
            return self._run(self._session.access_token(refused))
        finally:
            if has_turn:
                self._turn.release()

    def bearer(self, step_up: Callable[[StepUpAsked], str | None] | None = None) -> Bearer:
        """Return what puts the session on the requests of an `httpx2.Client(auth=...)`."""
        return Bearer(self, step_up)

    def step_up(self, *, password: str | None = None, code: str | None = None) -> str:
        """Prove again who it is, by one of the two; return an access token that says so.

        It is not kept: it is for the requests that asked for it.
        """
        return self._run(use_cases.step_up(self._session, password, code))

    def account(self) -> dict[str, Any]:
        """Return the account of the user."""
        return self._run(use_cases.account(self._session))

    def sessions(self) -> list[dict[str, Any]]:
        """Return the user's sessions that are alive, newest first."""
        return self._run(use_cases.sessions(self._session))

    def end_session(self, session_id: str, token: str | None = None) -> None:
        """End one of the user's sessions, by its id; of others, the service asks for a recent sign-in, as below."""
        self._run(use_cases.end_session(self._session, session_id, token))

    def end_other_sessions(self, token: str | None = None) -> None:
        """End all sessions but this one. `token` is from `step_up()`, if the sign-in is not recent."""
        self._run(use_cases.end_other_sessions(self._session, token))

    def change_password(self, current_password: str, new_password: str, token: str | None = None) -> None:
        """Change the password. Every session ends, and the new one of the answer is kept. `token` as above.

        If the answer is lost (`TryAgainLater`), the user has to sign in, with the new password if it was taken.
        """
        self._run(use_cases.change_password(self._session, current_password, new_password, token))

    def add_totp(self, token: str | None = None) -> dict[str, Any]:
        """Begin to add an authenticator app: its `id`, `secret` and `otpauth_uri`. `token` as above."""
        return self._run(use_cases.add_totp(self._session, token))

    def confirm_totp(self, factor_id: str, code: str) -> list[str]:
        """Finish that with the app's first code; return the recovery codes, which come with the first factor alone.

        The first factor ends every session, and the new one of the answer is kept.
        """
        return self._run(use_cases.confirm_totp(self._session, factor_id, code))

    def _run(self, flow: Flow[Result]) -> Result:
        came_of_it: object = None
        while True:
            try:
                step = flow.send(came_of_it)
            except StopIteration as end:
                result: Result = end.value
                return result
            came_of_it = self._do(step)

    def _do(self, step: Step) -> object:
        if isinstance(step, Keep):
            with self._store.open() as saved:
                return step.change(saved)
        if isinstance(step, Ask):
            return self._ask(step)
        time.sleep(step.seconds)
        return None

    def _ask(self, ask: Ask) -> Answer | httpx2.HTTPError:
        asked_at = time.time()
        try:
            response = self._http.request(
                ask.method, self._url + ask.path, json=ask.body, headers=dict(ask.headers), timeout=ANSWER, auth=None,
                follow_redirects=False,
            )  # fmt: skip
        except httpx2.HTTPError as error:
            return error
        return Answer(response, asked_at)
