"""What the service answers, as its OpenAPI document has it, by the same names. Times are RFC 3339; ids are UUIDs.

A newer service may say more.
"""

from typing import Any, TypedDict


class Account(TypedDict):
    id: str
    email: str
    username: str | None
    role: str
    is_active: bool
    is_verified: bool
    created_at: str
    updated_at: str
    last_login_at: str | None


class SessionItem(TypedDict):
    """A session of the user; `current` is the one that asks."""

    id: str
    created_at: str
    last_used_at: str
    expires_at: str
    user_agent: str | None
    ip: str | None
    ended_at: str | None
    ended_reason: str | None
    current: bool


class FactorItem(TypedDict):
    """A second factor; `kind` is `totp` or `passkey`."""

    id: str
    kind: str
    name: str | None
    created_at: str
    last_used_at: str | None


class PasskeyItem(FactorItem):
    credential_id: str
    backup_eligible: bool
    backed_up: bool
    transports: list[str]


class _Factors(TypedDict):
    items: list[PasskeyItem | FactorItem]
    recovery_codes_left: int


class FactorList(_Factors, total=False):
    """`accepted_credentials` is for `PublicKeyCredential.signalAllAcceptedCredentials()`."""

    accepted_credentials: dict[str, Any]


class TotpSecret(TypedDict):
    """What an authenticator app is given, as text or as the URI of a QR code."""

    secret: str
    otpauth_uri: str


class NewTotpFactor(TotpSecret):
    id: str


class PasskeyAsked(TypedDict):
    """`public_key` is for `PublicKeyCredential.parseCreationOptionsFromJSON()`."""

    public_key: dict[str, Any]


class PasskeyChallenge(PasskeyAsked):
    """`public_key` is for the `parse...OptionsFromJSON()` of `PublicKeyCredential`; `challenge` goes back with what the
    browser or the phone made of it, within `expires_in` seconds.
    """

    challenge: str
    expires_in: int
