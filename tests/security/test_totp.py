"""Codes of authenticator apps, by the published vectors, and their secrets at rest."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from auth_service.security.factors.totp import (
    find_step,
    new_totp_secret,
    open_totp_secret,
    otpauth_uri,
    read_totp_code,
    seal_totp_secret,
)
from auth_service.security.keys import SecretKeys

SECRET = b"12345678901234567890"  # of both RFCs
RFC_4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
RFC_6238 = [  # of eight digits, of which the last six are ours
    (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
    (2000000000, "69279037"), (20000000000, "65353130"),
]  # fmt: skip
KEYS = SecretKeys(["one secret key of this test, thirty-two", "another secret key of this test, long"])


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(("counter", "code"), list(enumerate(RFC_4226)))
def test_the_codes_of_rfc_4226_are_found_at_their_steps(counter: int, code: str) -> None:
    assert find_step(SECRET, code, _at(counter * 30)) == counter


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_the_codes_of_rfc_6238_are_found_at_their_times(seconds: int, code: str) -> None:
    assert find_step(SECRET, code[2:], _at(seconds)) == seconds // 30


@pytest.mark.parametrize(("seconds", "passes"), [(-31, False), (-30, True), (0, True), (59, True), (60, False)])
def test_a_code_is_good_one_step_either_side_and_no_longer(seconds: int, passes: bool) -> None:
    begins = _at(1234567890)  # of the step of that code
    found = find_step(SECRET, "005924", begins + timedelta(seconds=seconds))
    assert found == (1234567890 // 30 if passes else None)


@pytest.mark.parametrize(("typed", "code"), [("012345", "012345"), ("012 345", "012345")])
def test_a_code_is_read_in_one_group_or_two(typed: str, code: str) -> None:
    assert read_totp_code(typed) == code


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345a", "\u0661\u0662\u0663456", "123-456", " 123456"])
def test_what_is_not_six_digits_is_no_code(typed: str) -> None:
    assert read_totp_code(typed) is None


def test_an_app_reads_the_uri() -> None:
    uri = otpauth_uri(SECRET, "Auth & Co", "ada@example.com")
    assert uri == (
        "otpauth://totp/Auth%20%26%20Co:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Auth%20%26%20Co"
    )


def test_a_secret_is_sealed_for_its_factor_alone() -> None:
    secret, factor = new_totp_secret(), uuid4()
    sealed, secret_id = seal_totp_secret(secret, factor, KEYS)
    assert secret not in sealed
    assert open_totp_secret(sealed, secret_id, factor, KEYS) == secret
    assert open_totp_secret(sealed, secret_id, uuid4(), KEYS) is None  # moved to another row
    assert open_totp_secret(sealed[:-1] + b"\0", secret_id, factor, KEYS) is None
    assert open_totp_secret(b"", secret_id, factor, KEYS) is None
    assert open_totp_secret(sealed, "00000000", factor, KEYS) is None  # of a secret key that is not listed
    assert open_totp_secret(sealed, "nonsense", factor, KEYS) is None
