"""The challenge of a sign-in of several steps: made by us, for one purpose, for five minutes."""

import base64
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from auth_service.security.keys import SecretKeys
from auth_service.security.tokens.challenges import Challenge, ChallengeCodec, ChallengePurpose, Passed

NEW, OLD = "the newer secret key of this test, long", "the older secret key of this test, long"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
USER = uuid4()
CODEC = ChallengeCodec(SecretKeys([NEW]))


def _issued(codec: ChallengeCodec = CODEC) -> str:
    return codec.issue(ChallengePurpose.SECOND_FACTOR, USER, 7, Passed.PASSWORD, NOW)


def _read(challenge: str, codec: ChallengeCodec = CODEC) -> Challenge | None:
    return codec.read(challenge, ChallengePurpose.SECOND_FACTOR)


def test_a_challenge_says_what_it_was_made_of() -> None:
    found = _read(_issued())
    assert found
    assert (found.user_id, found.credential_epoch, found.passed) == (USER, 7, Passed.PASSWORD)


def test_no_two_challenges_are_the_same() -> None:
    assert len({_issued() for _ in range(50)}) == 50


def test_a_challenge_is_for_one_purpose() -> None:
    assert CODEC.read(_issued(), ChallengePurpose.ENROLMENT) is None


@pytest.mark.parametrize(("age", "is_over"), [(-6, True), (-5, False), (0, False), (300, False), (301, True)])
def test_a_challenge_is_good_for_five_minutes_by_a_clock_that_may_be_a_little_behind(age: int, is_over: bool) -> None:
    found = _read(_issued())
    assert found
    assert found.is_over(NOW.timestamp() + age) is is_over


def test_a_forged_challenge_is_none() -> None:
    challenge = _issued()
    packed = base64.urlsafe_b64decode(challenge.removeprefix("chl_") + "=")
    for place in range(len(packed)):
        changed = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
        assert _read("chl_" + base64.urlsafe_b64encode(changed).rstrip(b"=").decode()) is None
    last = challenge[-1]
    others = (each for each in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" if each != last)
    assert all(_read(challenge[:-1] + other) is None for other in others)  # one challenge, one spelling
    assert all(_read(text) is None for text in ["", "chl_", challenge + "A", challenge[:-1], "art_" + challenge[4:]])
    assert _read(_issued(ChallengeCodec(SecretKeys([OLD])))) is None


def test_a_challenge_outlives_a_new_secret_key_and_so_does_the_secret_of_an_enrolment() -> None:
    challenge = _issued(ChallengeCodec(SecretKeys([OLD])))
    both, before = ChallengeCodec(SecretKeys([NEW, OLD])), ChallengeCodec(SecretKeys([OLD]))
    found, as_before = _read(challenge, both), _read(challenge, before)
    assert found
    assert found == as_before
    secret = both.secret_of(found, 20)
    assert secret == before.secret_of(found, 20) == both.secret_of(found, 20)
    another = _read(_issued(before), before)
    assert another
    assert before.secret_of(another, 20) != secret
