"""A page in a browser, as far as the cookie of its refresh token goes: what it is given it keeps and sends back."""

from http.cookies import SimpleCookie
from typing import Any

import httpx

from tests.support.client import PASSWORD, Client

COOKIE = "__Host-auth-refresh"
ORIGIN = "http://127.0.0.1:8000"  # of the default AUTH_PUBLIC_URL


class Page:
    """Talks to the service in cookie mode. `cookie` is what the browser holds, or None."""

    def __init__(self, client: Client, origin: str = ORIGIN) -> None:
        self.client = client
        self.headers = {"Origin": origin, "X-Auth-Cookie": "1"}
        self.cookie: str | None = None

    async def login(self, email: str = "ada@example.com", **headers: str) -> httpx.Response:
        return await self.post("/auth/login", {"email": email, "password": PASSWORD}, **headers)

    async def refresh(self, **headers: str) -> httpx.Response:
        return await self.post("/auth/refresh", {}, **headers)

    async def logout(self) -> httpx.Response:
        return await self.post("/auth/logout", {})

    async def change_password(self, access_token: str, current: str, new: str, **headers: str) -> httpx.Response:
        body = {"current_password": current, "new_password": new}
        return await self.post("/auth/me/password", body, Authorization=f"Bearer {access_token}", **headers)

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        answer = await self.send(path, body, **headers)
        set_cookie = answer.headers.get("set-cookie")
        if set_cookie is not None:
            morsel = SimpleCookie(set_cookie)[COOKIE]
            self.cookie = None if morsel["max-age"] == "0" else morsel.value
        return answer

    async def send(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        """Send without keeping what comes back, as when the answer is lost."""
        cookie = {"Cookie": f"theme=dark; {COOKIE}={self.cookie}; lang=en"} if self.cookie else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, json=body, headers={**self.headers, **cookie, **named})
