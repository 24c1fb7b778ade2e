"""A client that follows the protocol, for tests that speak HTTP."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from . import canaries

PASSWORD = canaries.PASSWORD
_TRUST = ssl.create_default_context()  # one for all clients: to make it takes as long as a few dozen requests


class Client(httpx.AsyncClient):
    """An `httpx.AsyncClient` with one method for each route. It fails when an answer repeats a secret of the suite."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"verify": _TRUST, **options})

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        answer = await super().send(request, **options)
        told = f"{answer.headers} {'' if options.get('stream') else answer.text}"
        assert not canaries.leaks(told, (canaries.PASSWORD, canaries.SECRET)), f"{request.method} {request.url}"
        return answer

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request, again while a busy machine makes the service answer 503, as clients do."""
        for _ in range(10):
            answer = await self.request(method, path, **request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(0.2)
        return answer

    async def register(self, email: str, password: str = PASSWORD, username: str | None = None) -> httpx.Response:
        body = {"email": email, "password": password}
        return await self.post("/auth/register", json=body | ({"username": username} if username else {}))

    async def login(self, email: str = "ada@example.com", password: str = PASSWORD, **more: Any) -> httpx.Response:
        return await self.post("/auth/login", json={"email": email, "password": password}, **more)

    async def sign_in(self, email: str = "ada@example.com", password: str = PASSWORD) -> dict[str, Any]:
        """Log in and return the tokens."""
        tokens: dict[str, Any] = (await self.login(email, password)).raise_for_status().json()
        return tokens

    async def refresh(
        self, token: str, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        headers = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        return await self.post("/auth/refresh", json={"refresh_token": token}, headers=headers)

    async def rotate(self, token: str, times: int = 1) -> dict[str, Any]:
        """Refresh so many times, each time with the newest token, and return the last answer."""
        tokens: dict[str, Any] = {}
        for _ in range(times):
            tokens = (await self.refresh(token)).raise_for_status().json()
            token = tokens["refresh_token"]
        return tokens

    async def logout(self, token: str) -> httpx.Response:
        return await self.post("/auth/logout", json={"refresh_token": token})

    async def me(self, access_token: str) -> httpx.Response:
        return await self.get("/auth/me", headers=bearer(access_token))

    async def sessions(self, access_token: str, *, ended: bool = False) -> list[dict[str, Any]]:
        """The bearer's sessions, the newest first."""
        page = await self.page_of_sessions(access_token, ended=ended, limit=100)
        items: list[dict[str, Any]] = page["items"]
        while page["next_cursor"]:
            page = await self.page_of_sessions(access_token, ended=ended, limit=100, cursor=page["next_cursor"])
            items += page["items"]
        return items

    async def page_of_sessions(self, access_token: str, **query: Any) -> dict[str, Any]:
        answer = await self.get("/auth/sessions", params=query, headers=bearer(access_token))
        page: dict[str, Any] = answer.raise_for_status().json()
        return page

    async def end_session(self, access_token: str, session_id: str) -> httpx.Response:
        return await self.delete(f"/auth/sessions/{session_id}", headers=bearer(access_token))

    async def change_password(self, access_token: str, current: str, new: str) -> httpx.Response:
        body = {"current_password": current, "new_password": new}
        return await self.post("/auth/me/password", json=body, headers=bearer(access_token))

    async def rename(self, access_token: str, username: str | None) -> httpx.Response:
        return await self.patch("/auth/me", json={"username": username}, headers=bearer(access_token))

    async def delete_account(self, access_token: str, password: str = PASSWORD) -> httpx.Response:
        body = {"current_password": password}
        return await self.request("DELETE", "/auth/me", json=body, headers=bearer(access_token))

    async def export(self, access_token: str) -> httpx.Response:
        return await self.get("/auth/me/export", headers=bearer(access_token))

    async def forgot_password(self, email: str = "ada@example.com", **more: Any) -> httpx.Response:
        return await self.post("/auth/forgot-password", json={"email": email}, **more)

    async def resend_verification(self, email: str = "ada@example.com", **more: Any) -> httpx.Response:
        return await self.post("/auth/verify-email/resend", json={"email": email}, **more)

    async def reset_password(self, token: str, new: str) -> httpx.Response:
        return await self.post("/auth/reset-password", json={"token": token, "new_password": new})

    async def verify_email(self, token: str, **proof: str) -> httpx.Response:
        """With the suite's password unless another proof is given: `password`, `new_password` or `access_token`."""
        return await self._use_link("/auth/verify-email", token, proof)

    async def change_email(self, access_token: str, new: str, current: str = PASSWORD) -> httpx.Response:
        body = {"new_email": new, "current_password": current}
        return await self.post("/auth/me/email", json=body, headers=bearer(access_token))

    async def confirm_email(self, token: str, **proof: str) -> httpx.Response:
        """With the suite's password unless another proof is given: `password` or `access_token`."""
        return await self._use_link("/auth/confirm-email", token, proof)

    async def _use_link(self, path: str, token: str, proof: dict[str, str]) -> httpx.Response:
        proof = proof or {"password": PASSWORD}
        headers = bearer(proof.pop("access_token")) if "access_token" in proof else {}
        return await self.post(path, json={"token": token, **proof}, headers=headers)

    async def pending_email(self, access_token: str) -> httpx.Response:
        return await self.get("/auth/me/email/change", headers=bearer(access_token))

    async def stop_email(self, access_token: str) -> httpx.Response:
        return await self.delete("/auth/me/email/change", headers=bearer(access_token))

    async def keep_email(self, token: str) -> httpx.Response:
        return await self.post("/auth/email/keep", json={"token": token})

    async def pending_reset(self, access_token: str) -> httpx.Response:
        return await self.get("/auth/me/factors/reset", headers=bearer(access_token))

    async def stop_reset(self, access_token: str) -> httpx.Response:
        return await self.delete("/auth/me/factors/reset", headers=bearer(access_token))

    async def keep_factors(self, token: str) -> httpx.Response:
        return await self.post("/auth/factors/keep", json={"token": token})

    async def step_up(self, access_token: str, **proof: str) -> httpx.Response:
        """By the suite's password unless another proof is given: `password` or `code`."""
        return await self.post("/auth/step-up", json=proof or {"password": PASSWORD}, headers=bearer(access_token))

    async def challenge(self, email: str = "ada@example.com", password: str = PASSWORD) -> str:
        """The challenge that the right password of an account with a second factor is answered with."""
        answer = await self.login(email, password)
        assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
        challenge: str = answer.json()["challenge"]
        return challenge

    async def second_factor(self, challenge: str, code: str, **more: Any) -> httpx.Response:
        return await self.post("/auth/login/second-factor", json={"challenge": challenge, "code": code}, **more)

    async def factors(self, access_token: str) -> dict[str, Any]:
        """The second factors, and how many recovery codes are left."""
        answer = await self.get("/auth/me/factors", headers=bearer(access_token))
        told: dict[str, Any] = answer.raise_for_status().json()
        return told

    async def begin_totp(self, access_token: str) -> httpx.Response:
        return await self.post("/auth/me/totp", headers=bearer(access_token))

    async def confirm_totp(self, access_token: str, factor_id: str, code: str, **more: str) -> httpx.Response:
        path = f"/auth/me/totp/{factor_id}/confirm"
        return await self.post(path, json={"code": code}, headers=bearer(access_token) | more)

    async def begin_login_enrolment(self, challenge: str) -> httpx.Response:
        return await self.post("/auth/login/enrol", json={"challenge": challenge})

    async def confirm_login_enrolment(self, challenge: str, code: str, **more: str) -> httpx.Response:
        return await self.post("/auth/login/enrol/confirm", json={"challenge": challenge, "code": code}, headers=more)

    async def remove_factor(self, access_token: str, factor_id: str) -> httpx.Response:
        return await self.delete(f"/auth/me/factors/{factor_id}", headers=bearer(access_token))

    async def renew_recovery_codes(self, access_token: str) -> httpx.Response:
        return await self.post("/auth/me/recovery-codes", headers=bearer(access_token))


def bearer(access_token: str) -> dict[str, str]:
    """The header of an access token."""
    return {"Authorization": f"Bearer {access_token}"}
