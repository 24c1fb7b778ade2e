"""W3C's published pairs of a registration and an authentication (Web Authentication Level 3, section "Test Vectors").

Each is read and verified to its last step. We always verify users, and most of these authenticators did not: what was
not verified is refused for that reason alone, which is the last to be looked at.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fido2 import cbor

from auth_service.security.factors.passkeys import PasskeyVerifier
from auth_service.security.factors.webauthn import Asserted, NewPasskey, PasskeyRefused, RelyingParty
from tests.support.soft_passkey import BE, BS, UV

PAIRS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("webauthn_level3.json").read_text())["pairs"]
TOP = "https://example.com"  # which frames the page of one pair
VERIFIER = PasskeyVerifier(RelyingParty("example.org", "", frozenset({"https://example.org"}), frozenset({TOP})))
FLAGS = 32  # the byte of authenticator data
NOT_VERIFIED, FRAMED = "the user was not verified", "framed by a page that is not listed"
# What is refused in any case: a page that does not say which page framed it, and an algorithm that nobody asked for.
NEVER = {
    "none-es256-crossOrigin": (FRAMED, FRAMED),
    "packed-ed448": (
        "a key of an algorithm that was not asked for, or with other members",
        "the assertion cannot be read: KeyError",
    ),
}


def of(ceremony: dict[str, str], name: str) -> bytes:
    return bytes.fromhex(ceremony[name])


def outcome(ceremony: Callable[[], NewPasskey | Asserted]) -> NewPasskey | Asserted | str:
    """What is learnt, or why it is refused."""
    try:
        return ceremony()
    except PasskeyRefused as refused:
        return str(refused)


def count(authenticator_data: bytes) -> int:
    return int.from_bytes(authenticator_data[FLAGS + 1 : FLAGS + 5])


def challenge(ceremony: dict[str, str]) -> str:
    return of(ceremony, "challenge").decode(errors="surrogateescape")


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["case"])
def test_a_published_pair_is_taken_or_refused_for_what_we_always_ask(pair: dict[str, Any]) -> None:
    made, used = pair["registration"], pair["authentication"]
    attestation, data = of(made, "attestationObject"), of(used, "authenticatorData")
    attested: bytes = cbor.decode(attestation)["authData"]  # type: ignore[call-overload,index,assignment]
    public_key, eligible = attested[55 + len(of(made, "credential_id")) :], bool(attested[FLAGS] & BE)

    def register() -> NewPasskey:
        return VERIFIER.read_registration(of(made, "clientDataJSON"), attestation, challenge(made))

    def sign_in(signature: bytes) -> Asserted:
        said = of(used, "clientDataJSON")
        return VERIFIER.check_assertion(
            said, data, signature, challenge(used), public_key=public_key, backup_eligible=eligible
        )

    registered, signed_in = outcome(register), outcome(lambda: sign_in(of(used, "signature")))
    if pair["case"] in NEVER:
        assert (registered, signed_in) == NEVER[pair["case"]]
        return
    ids = of(made, "credential_id"), UUID(bytes=of(made, "aaguid"))
    learnt = NewPasskey(ids[0], public_key, count(attested), eligible, bool(attested[FLAGS] & BS), ids[1])
    assert registered == (learnt if attested[FLAGS] & UV else NOT_VERIFIED)
    assert signed_in == (Asserted(count(data), bool(data[FLAGS] & BS)) if data[FLAGS] & UV else NOT_VERIFIED)
    assert outcome(lambda: sign_in(of(used, "signature")[:-1] + b"\0")) == "a signature that is not of this key"


def test_there_are_fifteen_pairs_and_every_algorithm_that_we_ask_for_is_among_them() -> None:
    assert len(PAIRS) == 15
    assert all(any(algorithm in pair["case"] for pair in PAIRS) for algorithm in ("es256", "es384", "es512", "rs256"))
    assert any("eddsa" in pair["case"] for pair in PAIRS)
