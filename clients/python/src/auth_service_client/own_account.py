"""What the owner of a session does: the account, its sessions and its factors."""

import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import httpx2

from auth_service_client.answers import Account, FactorList, NewTotpFactor, PasskeyChallenge, PasskeyItem, SessionItem
from auth_service_client.errors import TryAgainLater
from auth_service_client.protocol import NO_ANSWER, SessionProtocol
from auth_service_client.signing_in import Credential, codes_of, named, one_of
from auth_service_client.steps import TOKEN, Flow
from auth_service_client.use_case import use_case


class OwnAccount:
    """Every method raises `SignInAgain` where there is no session or it has ended, `TryAgainLater` where there is no
    answer, and `Refused` where the service says no.

    `token` is from `step_up()`, if the sign-in is not recent enough for what is asked (`step-up-required`).
    """

    _session: SessionProtocol

    @use_case
    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Call any route of the service, and return what it says. If that is a new session, it is kept.

        Raises:
            ValueError: the path does not begin with a slash, so that it could lead to another host, or is none; or the
                method or the token is none.
        """
        if not isinstance(method, str) or not TOKEN.fullmatch(method):
            raise ValueError("the method must be like GET")
        if not _is_path(path):
            raise ValueError("the path must be like /auth/me")
        return (yield from self._session.request(method, path, body, token))

    @use_case
    def sign_out(self) -> Flow[bool]:
        """Forget the session, and end it at the service; return False if the service could not be told: it lives on
        there until it expires. Nothing is raised then, and a second call has nothing left to end, and returns True.
        """
        return (yield from self._session.sign_out())

    @use_case
    def step_up(
        self,
        *,
        password: str | None = None,
        code: str | None = None,
        challenge: str | None = None,
        credential: Credential | None = None,
    ) -> Flow[str]:
        """Prove again who it is, by a password, by a code, or by what a passkey has signed of `step_up_options()`, with
        its challenge; return an access token that says so. It is not kept: it is for the requests that asked for it.

        Raises:
            ValueError: none of password, code and credential is given, or several.
        """
        proof = one_of(password=password, code=code, credential=credential)
        if challenge is not None:
            proof["challenge"] = challenge
        token = (yield from self._session.request("POST", "/auth/step-up", proof)).get("access_token")
        if not isinstance(token, str):
            raise TryAgainLater(NO_ANSWER)
        return token

    @use_case
    def step_up_options(self) -> Flow[PasskeyChallenge]:
        """Begin a step-up with a passkey."""
        return cast("PasskeyChallenge", (yield from self._session.request("POST", "/auth/step-up/options")))

    @use_case
    def account(self) -> Flow[Account]:
        """Return the account of the user."""
        return cast("Account", (yield from self._session.request("GET", "/auth/me")))

    @use_case
    def change_username(self, username: str | None, token: str | None = None) -> Flow[Account]:
        """Change the username, or remove it with None; return the account."""
        return cast("Account", (yield from self._session.request("PATCH", "/auth/me", {"username": username}, token)))

    @use_case
    def change_email(self, new_email: str, current_password: str | None = None, token: str | None = None) -> Flow[None]:
        """Request a change of the address; the links of two e-mails confirm it. An account without a password gives
        none.
        """
        body = {"new_email": new_email, **_password(current_password)}
        yield from self._session.request("POST", "/auth/me/email", body, token)

    @use_case
    def change_password(self, current_password: str, new_password: str, token: str | None = None) -> Flow[None]:
        """Change the password. Every session ends, and the new one of the answer is kept.

        If the answer is lost (`TryAgainLater`), the user has to sign in, with the new password if it was taken.
        """
        body = {"current_password": current_password, "new_password": new_password}
        yield from self._session.request("POST", "/auth/me/password", body, token)

    @use_case
    def remove_password(self, token: str | None = None) -> Flow[None]:
        """Let passkeys alone sign in from now on."""
        yield from self._session.request("DELETE", "/auth/me/password", token=token)

    @use_case
    def delete_account(self, current_password: str | None = None, token: str | None = None) -> Flow[None]:
        """Delete the account with all its data, which cannot be undone, and forget the session."""
        body = _password(current_password) or None
        yield from self._session.request("DELETE", "/auth/me", body, token)
        yield from self._session.forget()

    @use_case
    def sessions(self) -> Flow[list[SessionItem]]:
        """Return the user's sessions that are alive, newest first."""
        found: list[SessionItem] = []
        cursor: str | None = ""
        while cursor is not None:
            page = yield from self._session.request("GET", f"/auth/sessions?limit=100{cursor}")
            items, following = page.get("items"), page.get("next_cursor")
            if not isinstance(items, list) or not isinstance(following, str | None):
                raise TryAgainLater(NO_ANSWER)
            found += items
            cursor = f"&cursor={quote(following)}" if following else None
        return found

    @use_case
    def end_session(self, session_id: str, token: str | None = None) -> Flow[None]:
        """End one of the user's sessions, by its id; for another one than this, the sign-in has to be recent."""
        yield from self._session.request("DELETE", f"/auth/sessions/{_part_of_path(session_id)}", token=token)

    @use_case
    def end_other_sessions(self, token: str | None = None) -> Flow[None]:
        """End all sessions but this one."""
        yield from self._session.request("DELETE", "/auth/sessions", token=token)

    @use_case
    def factors(self) -> Flow[FactorList]:
        """Return the second factors as `items`, and how many recovery codes are left."""
        return cast("FactorList", (yield from self._session.request("GET", "/auth/me/factors")))

    @use_case
    def add_totp(self, token: str | None = None) -> Flow[NewTotpFactor]:
        """Begin to add an authenticator app: its `id`, `secret` and `otpauth_uri`. It waits ten minutes for a code."""
        return cast("NewTotpFactor", (yield from self._session.request("POST", "/auth/me/totp", token=token)))

    @use_case
    def confirm_totp(self, factor_id: str, code: str) -> Flow[list[str]]:
        """Finish that with the app's first code; return the recovery codes, which come with the first factor alone.

        The first factor ends every session, and the new one of the answer is kept.
        """
        path = f"/auth/me/totp/{_part_of_path(factor_id)}/confirm"
        return codes_of((yield from self._session.request("POST", path, {"code": code})))

    @use_case
    def new_recovery_codes(self, token: str | None = None) -> Flow[list[str]]:
        """Return ten new recovery codes; those from before are good no more."""
        return codes_of((yield from self._session.request("POST", "/auth/me/recovery-codes", token=token)))

    @use_case
    def new_passkey_options(self, token: str | None = None) -> Flow[PasskeyChallenge]:
        """Begin to add a passkey: `public_key` is for whatever asks the user's authenticator."""
        return cast(
            "PasskeyChallenge", (yield from self._session.request("POST", "/auth/me/passkeys/options", token=token))
        )

    @use_case
    def add_passkey(
        self, challenge: str, credential: Credential, name: str | None = None, token: str | None = None
    ) -> Flow[list[str]]:
        """Add the passkey that was made; return the recovery codes, which come with the first factor alone.

        The first factor ends every session, and the new one of the answer is kept.
        """
        body = {"challenge": challenge, "credential": credential, **named(name)}
        return codes_of((yield from self._session.request("POST", "/auth/me/passkeys", body, token)))

    @use_case
    def rename_passkey(self, factor_id: str, name: str) -> Flow[PasskeyItem]:
        """Give a passkey another name, and return it."""
        path = f"/auth/me/passkeys/{_part_of_path(factor_id)}"
        return cast("PasskeyItem", (yield from self._session.request("PATCH", path, {"name": name})))

    @use_case
    def remove_factor(self, factor_id: str, token: str | None = None) -> Flow[None]:
        """Remove an app or a passkey."""
        yield from self._session.request("DELETE", f"/auth/me/factors/{_part_of_path(factor_id)}", token=token)


def _is_path(path: object) -> bool:
    try:
        httpx2.URL(f"https://auth.example.com{path}")
    except (httpx2.InvalidURL, UnicodeEncodeError):  # a line break, too long, or half a letter
        return False
    return isinstance(path, str) and path.startswith("/")


def _part_of_path(an_id: str) -> str:
    """By dots or nothing it would be another path, and by a slash too, however it is written.

    Raises:
        ValueError: it is not made of letters, digits, "-" and "_".
    """
    if not isinstance(an_id, str) or not re.fullmatch(r"[\w-]+", an_id, re.ASCII):
        raise ValueError("this is no id of the service")
    return an_id


def _password(current: str | None) -> dict[str, str]:
    return {} if current is None else {"current_password": current}
