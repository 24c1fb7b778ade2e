"""The verification of a passkey's signature with all that is checked around it, beside one bare ES256 verification."""

import hashlib
import json
import statistics
import struct
import time
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from auth_service.security.factors.passkeys import PasskeyVerifier
from auth_service.security.factors.webauthn import RelyingParty, encode_challenge
from bench.passkey_accounts import COSE, KEY, ORIGIN, RP_ID

CHALLENGE = "chl_" + "A" * 83
_AT_ONCE = 300
_FLAGS = 0x1D  # user present and verified, backup eligible and backed up


def compare(rounds: int) -> tuple[float, float, float]:
    """Return CPU microseconds of ours and of the bare one, medians, and the median of the rounds' ratios of the two."""
    ours, bare = _verifications()
    ours(), bare()
    found = [(_microseconds(ours), _microseconds(bare)) for _ in range(rounds)]
    of_ours, of_bare = (statistics.median(one) for one in zip(*found, strict=True))
    return of_ours, of_bare, statistics.median(floor / one for one, floor in found)


def _verifications() -> tuple[Callable[[], object], Callable[[], object]]:
    """Both read the public key first: it comes from a row of the database, as bytes or as a point."""
    verifier = PasskeyVerifier(RelyingParty(RP_ID, "", frozenset({ORIGIN}), frozenset()))
    said = {"type": "webauthn.get", "challenge": encode_challenge(CHALLENGE), "origin": ORIGIN, "crossOrigin": False}
    client_data = json.dumps(said).encode()
    data = hashlib.sha256(RP_ID.encode()).digest() + struct.pack(">BI", _FLAGS, 1)
    signed, algorithm = data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256())
    signature, point = KEY.sign(signed, algorithm), KEY.public_key().public_numbers()
    ours = partial(
        verifier.check_assertion, client_data, data, signature, CHALLENGE, public_key=COSE, backup_eligible=True
    )
    return ours, lambda: point.public_key().verify(signature, signed, algorithm)


def _microseconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(_AT_ONCE):
        work()
    return (time.process_time() - started) / _AT_ONCE * 1e6
