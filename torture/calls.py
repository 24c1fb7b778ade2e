"""The requests of one user, each with what the history may say about it."""

from dataclasses import dataclass

from torture.history import generation_of, label
from torture.wire import Access, Call, bearer


def password_of(number: int) -> str:
    return f"passphrase number {number} of this user"


@dataclass(frozen=True)
class Calls:
    """`by` is who asks, `user` whose account or session it is about."""

    by: str
    user: str

    def register(self, email: str, password: int) -> Call:
        body = {"email": email, "password": password_of(password)}
        return Call("register", self.by, "POST", "/auth/register", {"user": self.user, "password": password}, body)

    def login(self, email: str, password: int) -> Call:
        body = {"email": email, "password": password_of(password)}
        return Call("login", self.by, "POST", "/auth/login", {"user": self.user, "password": password}, body)

    def second_step(self, challenge: str, code: str, step: int | None) -> Call:
        noted = {"user": self.user, "challenge": label(challenge), **self._code(code, step)}
        body = {"challenge": challenge, "code": code}
        return Call("second-step", self.by, "POST", "/auth/login/second-factor", noted, body)

    def add_factor(self, session: str, access: Access) -> Call:
        return Call("add-factor", self.by, "POST", "/auth/me/totp", self._with(session, access), headers=bearer(access))

    def confirm_factor(self, session: str, access: Access, factor: str, code: str, step: int) -> Call:
        noted = self._with(session, access) | self._code(code, step)
        path = f"/auth/me/totp/{factor}/confirm"
        return Call("confirm-factor", self.by, "POST", path, noted, {"code": code}, bearer(access))

    def recovery_codes(self, session: str, access: Access) -> Call:
        noted, path = self._with(session, access), "/auth/me/recovery-codes"
        return Call("recovery-codes", self.by, "POST", path, noted, headers=bearer(access))

    def refresh(self, session: str, token: str, key: str | None) -> Call:
        noted = self._about(session) | {"token": label(token), "generation": generation_of(token)}
        noted |= {"key": label(key) if key else None}
        headers = {"Idempotency-Key": key} if key else {}
        return Call("refresh", self.by, "POST", "/auth/refresh", noted, {"refresh_token": token}, headers)

    def logout(self, session: str, token: str) -> Call:
        noted = self._about(session) | {"token": label(token)}
        return Call("logout", self.by, "POST", "/auth/logout", noted, {"refresh_token": token})

    def me(self, session: str, access: Access) -> Call:
        return Call("me", self.by, "GET", "/auth/me", self._with(session, access), headers=bearer(access))

    def sessions(self, session: str, access: Access) -> Call:
        return Call("sessions", self.by, "GET", "/auth/sessions", self._with(session, access), headers=bearer(access))

    def password(self, session: str, access: Access, old: int, new: int) -> Call:
        noted = self._with(session, access) | {"password": old, "new_password": new}
        body = {"current_password": password_of(old), "new_password": password_of(new)}
        return Call("password", self.by, "POST", "/auth/me/password", noted, body, bearer(access))

    def _code(self, code: str, step: int | None) -> dict[str, object]:
        """The same six digits are another code in another step."""
        return {"code_used": label(f"{self.user} {step} {code}"), "step": step}

    def _about(self, session: str) -> dict[str, object]:
        return {"user": self.user, "session": session}

    def _with(self, session: str, access: Access) -> dict[str, object]:
        return self._about(session) | {"exp": access.exp, "kid": access.kid}
