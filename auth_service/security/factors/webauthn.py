"""Passkeys (WebAuthn Level 3), as far as fido2 is not needed: whom they are for, what is learnt of one, client data.

Any module may import this one; `passkeys.py` costs memory.
"""

import json
from typing import Any, Literal, NamedTuple
from uuid import UUID

from auth_service.security.keys import base64url

CLIENT_DATA_LIMIT = 4_096  # bytes
ORIGIN_TOLD = 200  # characters

Ceremony = Literal["webauthn.create", "webauthn.get"]


class PasskeyRefused(ValueError):  # noqa: N818  # an answer, as in errors/
    """What is not believed of a browser's answer. The text repeats nothing of what was sent, but `told`, which is for
    the log, has the origin of a page that is not listed: an operator has to know which.
    """

    def __init__(self, because: str, origin: str | None = None) -> None:
        super().__init__(because)
        self.told = {"because": because, **({} if origin is None else {"origin": origin[:ORIGIN_TOLD]})}


class RelyingParty(NamedTuple):
    """Whom passkeys are for. `top_origins` are those of pages that may frame ours; all compare character by character.

    `origins` are web origins, and those of Android apps (`android:apk-key-hash:...`).
    """

    id: str
    name: str
    origins: frozenset[str]
    top_origins: frozenset[str]


class NewPasskey(NamedTuple):
    """What an authenticator says of a passkey that it has made. `public_key` is a COSE key in canonical CBOR."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    aaguid: UUID


class Asserted(NamedTuple):
    """What an authenticator says with a signature that was verified."""

    sign_count: int
    backed_up: bool


def require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise PasskeyRefused(otherwise)


def encode_challenge(challenge: str) -> str:
    """Return a challenge as browsers have it, for whom it is bytes: any can stand in a `str` (PEP 383), as W3C's do."""
    return base64url(challenge.encode(errors="surrogateescape"))


def check_client_data(rp: RelyingParty, client_data: bytes, ceremony: Ceremony, challenge: str) -> None:
    """Check what the browser says of the page (WebAuthn, section 5.8.1), which the authenticator signs by its hash.

    Members that are not known are no fault: browsers add some, so that nobody compares templates.

    Raises:
        PasskeyRefused: it is of another page, ceremony or challenge.
        ValueError, RecursionError: it is no JSON.
    """
    require(len(client_data) <= CLIENT_DATA_LIMIT, "client data of that length")
    said = _decoder.decode(client_data.decode())
    require(isinstance(said, dict), "client data that is no object")
    require(said.get("type") == ceremony, "client data of another ceremony")
    require(said.get("challenge") == encode_challenge(challenge), "another challenge")
    _require_among(rp.origins, said.get("origin"), "an origin that is not listed")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        _require_among(rp.top_origins, said.get("topOrigin"), "framed by a page that is not listed")


def _require_among(origins: frozenset[str], origin: Any, otherwise: str) -> None:
    if not isinstance(origin, str):
        raise PasskeyRefused(otherwise)
    if origin not in origins:
        raise PasskeyRefused(otherwise, origin)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    require(len(members) == len(pairs), "client data with two members of one name")
    return members


_decoder = json.JSONDecoder(object_pairs_hook=_without_duplicates)  # made once: json.loads makes one for each
