"""What makes and keeps passkeys, in Chromium: an authenticator that DevTools plug in, honest or not.

https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from .browser import Browser

Credential = dict[str, Any]  # what DevTools tell of a passkey, with its private key; binary values in base64
_OPTIONS = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class VirtualAuthenticator:
    """An authenticator of the tab that is open: its user is there at once, and verified."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self._name = name

    @classmethod
    @contextmanager
    def plugged_in(cls, browser: Browser, *, synced: bool = False) -> Iterator[Self]:
        """Plug it in, for the length of the block: its passkeys stay on it, or are synced to other devices."""
        browser.driver.execute_cdp_cmd("WebAuthn.enable", {"enableUI": False})
        options = {**_OPTIONS, "defaultBackupEligibility": synced, "defaultBackupState": synced}
        made = browser.driver.execute_cdp_cmd("WebAuthn.addVirtualAuthenticator", {"options": options})
        authenticator = cls(browser, made["authenticatorId"])
        try:
            yield authenticator
        finally:
            authenticator._do("removeVirtualAuthenticator")

    def credentials(self) -> list[Credential]:
        found: list[Credential] = self._do("getCredentials")["credentials"]
        return found

    def replace(self, credentials: list[Credential]) -> None:
        """Let it hold these, as they were when they were told, in place of what it holds: so it is a copy of itself."""
        self._do("clearCredentials")
        for credential in credentials:
            self._do("addCredential", credential=credential)

    def set_user_verified(self, *, verified: bool) -> None:
        self._do("setUserVerified", isUserVerified=verified)

    def set_user_present(self, *, present: bool) -> None:
        """Let it wait for its user from the next request on, or not any more."""
        self._do("setAutomaticPresenceSimulation", enabled=present)

    def set_backup(self, credential: Credential, *, eligible: bool, backed_up: bool) -> None:
        """Change what a passkey will say of itself: that it may be backed up, and that it is."""
        properties = {"backupEligibility": eligible, "backupState": backed_up}
        self._do("setCredentialProperties", credentialId=credential["credentialId"], **properties)

    @contextmanager
    def answering(self, **bits: bool) -> Iterator[None]:
        """Let its answers be wrong for the length of the block: `isBogusSignature`, `isBadUV`, `isBadUP`."""
        self._do("setResponseOverrideBits", **bits)
        try:
            yield
        finally:
            self._do("setResponseOverrideBits", **dict.fromkeys(bits, False))

    def _do(self, command: str, **parameters: Any) -> Any:
        return self._browser.driver.execute_cdp_cmd(
            f"WebAuthn.{command}", {"authenticatorId": self._name, **parameters}
        )
