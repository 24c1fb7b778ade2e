"""The verifier follows the ends of sessions."""

import asyncio
from uuid import uuid4

import pytest

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Verifier
from auth_service.verifier.revocations import FollowedRevocations
from tests.support.polling import eventually
from tests.support.stand_in import REVOCATIONS, StandIn
from tests.support.verifiers import following, is_refused


async def test_a_logout_is_seen_and_ends_nobody_elses_session(verifier: Verifier, kit: AuthKit) -> None:
    for _ in range(3):
        session_id = uuid4()
        token, other = kit.token(session_id=session_id), kit.token()
        await verifier.verify(token)
        kit.end(session_id)
        await eventually(is_refused, verifier, token)
        await verifier.verify(other)


async def test_who_logged_out_before_the_start_is_refused(kit: AuthKit, stand_in: StandIn) -> None:
    token = kit.revoked()
    async with following(stand_in) as verifier:
        assert await is_refused(verifier, token)


async def test_an_end_that_the_service_has_forgotten_counts_for_the_leeway_more(
    verifier: Verifier, kit: AuthKit, stand_in: StandIn
) -> None:
    session_id = uuid4()
    token = kit.token(session_id=session_id)
    kit.end(session_id)
    await eventually(is_refused, verifier, token)
    kit.ended.clear()
    before = stand_in.asked[REVOCATIONS]

    async def asked_again() -> bool:
        return stand_in.asked[REVOCATIONS] >= before + 2

    await eventually(asked_again)
    assert await is_refused(verifier, token)


async def test_a_quiet_service_is_asked_by_long_polls_alone(verifier: Verifier, stand_in: StandIn) -> None:
    await asyncio.sleep(0.6)
    assert stand_in.asked[REVOCATIONS] <= 2
    assert verifier.news_age < 5
    assert not verifier.is_stale


async def test_who_does_not_follow_logouts_needs_no_internal_token(kit: AuthKit, stand_in: StandIn) -> None:
    async with following(stand_in, follow_logouts=False) as verifier:
        await verifier.verify(kit.token(roles=["admin"]), "admin")
        await verifier.verify(kit.revoked())
        assert not verifier.is_stale
    assert stand_in.asked[REVOCATIONS] == 0


class Clumsy(FollowedRevocations):
    """Fails now and then in a way that nobody has thought of."""

    reads = 0

    async def read(self, wait: int = 0) -> None:
        self.reads += 1
        if self.reads in {2, 3}:
            raise ZeroDivisionError
        await super().read(wait)


async def test_it_goes_on_following_whatever_goes_wrong(
    kit: AuthKit, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = following(stand_in)
    verifier.revocations = Clumsy(verifier.service, 60.0)
    async with verifier:
        token = kit.token(session_id=(session_id := uuid4()))
        await verifier.verify(token)
        kit.end(session_id)
        await eventually(is_refused, verifier, token)
    assert caplog.text.count("ended sessions were not read") == 2
