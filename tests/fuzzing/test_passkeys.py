"""What authenticators and browsers never send, to what reads it: all is refused, and nothing is a fault of ours."""

import json
import os
from typing import Any

import pytest
from fido2 import cbor
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_service.security.factors.passkeys import PasskeyVerifier
from auth_service.security.factors.webauthn import NewPasskey, PasskeyRefused, RelyingParty
from tests.fuzzing.cbor_strategies import LABELS, values, well_formed
from tests.fuzzing.strategies import anything, damaged
from tests.fuzzing.target import EXAMPLES, fuzzed
from tests.support.soft_passkey import AT, BE, BS, CREATE, ED, GET, UP, UV, SoftPasskey

CHALLENGE, ORIGIN, TOP = "chl_" + "c" * 83, "https://app.example.test", "https://portal.example"
VERIFIER = PasskeyVerifier(RelyingParty("example.test", "", frozenset({ORIGIN}), frozenset({TOP})))
ALGORITHMS = ("ES256", "EdDSA", "ES384", "ES512", "RS256")
PASSKEYS = {name: SoftPasskey(ORIGIN, "example.test", name, credential_id=b"id") for name in ALGORITHMS}
PASSKEY = PASSKEYS["ES256"]
KEY = cbor.encode(PASSKEY.cose)
CREATED, SAID = PASSKEY.client_data(CREATE, CHALLENGE), PASSKEY.client_data(GET, CHALLENGE)
DATA = PASSKEY.authenticator_data()
SIGNATURE = PASSKEY.sign(DATA, SAID)

# No socket is between, so there is time for more of them than of requests: half a minute in CI.
plentiful = settings(fuzzed, max_examples=EXAMPLES * (30 if "CI" in os.environ else 5))


def register(attestation: bytes, client_data: bytes = CREATED) -> NewPasskey | None:
    try:
        return VERIFIER.read_registration(client_data, attestation, CHALLENGE)
    except PasskeyRefused:
        return None


def signs_in(client_data: bytes, data: bytes, signature: bytes, key: bytes = KEY) -> bool:
    try:
        VERIFIER.check_assertion(client_data, data, signature, CHALLENGE, public_key=key, backup_eligible=False)
    except PasskeyRefused:
        return False
    return True


def judge(made: NewPasskey | None) -> None:
    """What is taken is in one spelling, of an algorithm that was asked for, and verifies no signature of another."""
    if made is None:
        return
    key: Any = cbor.decode(made.public_key)
    assert cbor.encode(key) == made.public_key
    assert key[3] in {-7, -8, -35, -36, -257}
    assert 0 < len(made.credential_id) < 1024
    assert made.backup_eligible or not made.backed_up
    assert made.public_key == KEY or not signs_in(SAID, DATA, SIGNATURE, made.public_key)


def attested(data: bytes) -> bytes:
    return cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})


@plentiful
@given(value=values, flags=st.sampled_from((0, AT, ED, AT | ED)))
def test_cbor_in_every_place_that_has_some_is_read_or_refused(value: bytes, flags: int) -> None:
    flags |= UP | UV
    judge(register(value))
    judge(register(b"\xa3\x63fmt\x64none\x67attStmt" + value + b"\x68authData" + attested(DATA)[28:]))
    judge(register(attested(DATA)[:28] + value))  # in place of the authenticator data
    judge(register(attested(PASSKEY.authenticator_data(PASSKEY.attested(value), UP | UV | AT))))
    judge(register(attested(PASSKEY.authenticator_data(PASSKEY.attested() + value, flags))))
    data = PASSKEY.authenticator_data(value, flags)
    signs_in(SAID, data, PASSKEY.sign(data, SAID))
    signs_in(SAID, DATA, SIGNATURE, value)  # in place of the stored key


numbers = st.binary(max_size=70) | st.sampled_from([b"\1\0\1", b"\0" * 32, b"\xff" * 256, b"\x80" + b"\1" * 511])
changes = st.dictionaries(st.sampled_from(LABELS), numbers | st.integers(-300, 9) | well_formed, max_size=3)


@plentiful
@given(algorithm=st.sampled_from(ALGORITHMS), changed=changes, missing=st.sets(st.sampled_from(LABELS), max_size=1))
def test_a_key_is_taken_as_asked_for_or_not_at_all(algorithm: str, changed: dict[int, Any], missing: set[int]) -> None:
    key = {label: value for label, value in {**PASSKEYS[algorithm].cose, **changed}.items() if label not in missing}
    data = PASSKEY.authenticator_data(PASSKEY.attested(cbor.encode(key)), UP | UV | AT)
    made = register(attested(data))
    judge(made)
    assert made is not None or key != PASSKEYS[algorithm].cose
    assert made is None or made.public_key == cbor.encode(key)


@plentiful
@given(
    data=st.just(DATA) | damaged(st.just(DATA)), said=st.just(SAID) | damaged(st.just(SAID)), flags=st.integers(0, 255)
)
def test_no_answer_that_was_damaged_after_it_was_signed_opens_anything(data: bytes, said: bytes, flags: int) -> None:
    assert signs_in(said, data, SIGNATURE) == ((said, data) == (SAID, DATA))
    other = PASSKEY.authenticator_data(flags=flags)
    is_right = flags & UP and flags & UV and not flags & (BE | BS | AT | ED)
    assert signs_in(SAID, other, PASSKEY.sign(other, SAID)) == bool(is_right)


@plentiful
@given(signature=damaged(st.just(SIGNATURE)) | st.binary(max_size=80))
def test_no_signature_but_the_right_one_opens_anything(signature: bytes) -> None:
    assert signs_in(SAID, DATA, signature) == (signature == SIGNATURE)


@plentiful
@given(attestation=damaged(st.just(PASSKEY.attestation())) | damaged(damaged(st.just(PASSKEY.attestation()))))
def test_a_registration_that_was_damaged_is_read_or_refused(attestation: bytes) -> None:
    judge(register(attestation))


RIGHT = json.loads(SAID)
names = st.sampled_from((*RIGHT, "topOrigin"))
likely = st.sampled_from((*RIGHT.values(), TOP, True, 0, None, [ORIGIN], "webauthn.create", ORIGIN + "/")) | anything
members = st.lists(st.tuples(names, likely) | st.tuples(st.text(max_size=6), anything), max_size=4)


@plentiful
@given(more=members, instead=st.booleans())
def test_client_data_are_taken_if_each_member_is_right_and_there_once(
    more: list[tuple[str, Any]], instead: bool
) -> None:
    pairs = [*((name, right) for name, right in RIGHT.items() if not instead or name not in dict(more)), *more]
    said = ("{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}").encode()
    found = dict(pairs)
    is_framed = found["crossOrigin"] is not False or "topOrigin" in found
    is_right = (
        len(found) == len(pairs)
        and all(found[name] == RIGHT[name] for name in ("type", "challenge", "origin"))
        and (not is_framed or found.get("topOrigin") == TOP)
    )
    assert signs_in(said, DATA, PASSKEY.sign(DATA, said)) == is_right


@pytest.mark.parametrize("ceremony", [CREATE, GET])
@plentiful
@given(said=damaged(st.just(SAID)) | st.binary(max_size=80) | anything.map(lambda value: json.dumps(value).encode()))
def test_client_data_that_are_no_json_are_refused(ceremony: str, said: bytes) -> None:
    if ceremony == GET:
        assert signs_in(said, DATA, SIGNATURE) == (said == SAID)
    else:
        assert register(PASSKEY.attestation(), said) is None
