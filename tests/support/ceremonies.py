"""Passkeys as a page uses them: the service is asked, Chromium makes or signs with one, and the answer is sent."""

from typing import Any

import httpx

from .browser import Browser
from .client import PASSWORD, bearer

CREATE = """
const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(args[0]);
return (await navigator.credentials.create({publicKey})).toJSON();
"""
GET = """
const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(args[0]);
return (await navigator.credentials.get({publicKey, ...args[1]})).toJSON();
"""


class Refused(Exception):  # noqa: N818  # by the browser, before anything reached the service
    """The browser made or signed nothing; the text is the name and the message of its error."""


class Ceremonies:
    """What the page that is open in a browser does, of whatever origin it is, with the service at `base_url`."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self._browser = browser
        self.http = httpx.Client(base_url=base_url, trust_env=False, timeout=30)

    def account(self, email: str) -> dict[str, Any]:
        """Register somebody, and return the tokens of a sign-in with the password."""
        who = {"email": email, "password": PASSWORD}
        self.post("/auth/register", who).raise_for_status()
        tokens: dict[str, Any] = self.post("/auth/login", who).raise_for_status().json()
        return tokens

    def creation(self, tokens: dict[str, Any]) -> dict[str, Any]:
        """Let the browser make a passkey for the bearer, and return what adds it."""
        options = self.post("/auth/me/passkeys/options", None, tokens).raise_for_status().json()
        return {"challenge": options["challenge"], "name": "A passkey", "credential": self._run(CREATE, options)}

    def add(self, tokens: dict[str, Any], creation: dict[str, Any]) -> httpx.Response:
        return self.post("/auth/me/passkeys", creation, tokens)

    def enrol(self, email: str) -> dict[str, Any]:
        """Register somebody with a passkey, and return the tokens that adding it gave."""
        tokens = self.account(email)
        added: dict[str, Any] = self.add(tokens, self.creation(tokens)).raise_for_status().json()
        return added

    def assertion(self, **more: Any) -> dict[str, Any]:
        """Let the browser sign for a sign-in, and return what signs in."""
        options = self.post("/auth/passkeys/options", {}).raise_for_status().json()
        return {"challenge": options["challenge"], "credential": self._run(GET, options, more)}

    def log_in(self, assertion: dict[str, Any] | None = None) -> httpx.Response:
        return self.post("/auth/passkeys/login", assertion or self.assertion())

    def post(self, path: str, body: dict[str, Any] | None, tokens: dict[str, Any] | None = None) -> httpx.Response:
        headers = bearer(tokens["access_token"]) if tokens else {}
        return self.http.post(path, json=body, headers=headers)

    def factors(self, tokens: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.get("/auth/me/factors", headers=bearer(tokens["access_token"]))
        told: dict[str, Any] = answer.raise_for_status().json()
        return told

    def _run(self, script: str, options: dict[str, Any], *arguments: Any) -> dict[str, Any]:
        made = self._browser.run(script, options["public_key"], *arguments)
        if not isinstance(made, dict):
            raise Refused(made)
        return made
