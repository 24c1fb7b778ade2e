"""The verifier follows the keys of the service, at a bounded cost whoever asks for what."""

import asyncio
import time

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Verifier
from tests.support.polling import eventually
from tests.support.stand_in import JWKS, StandIn
from tests.support.verifiers import following, is_refused


async def test_hundreds_of_tokens_cost_one_reading_of_the_keys(
    verifier: Verifier, kit: AuthKit, stand_in: StandIn
) -> None:
    for _ in range(200):
        await verifier.verify(kit.token())
    assert stand_in.asked[JWKS] == 1


async def test_a_token_of_a_new_key_is_taken_at_once(verifier: Verifier, kit: AuthKit, stand_in: StandIn) -> None:
    old = kit.token()
    kit.rotate()
    await asyncio.gather(*(verifier.verify(kit.token()) for _ in range(50)))
    await verifier.verify(old)
    assert stand_in.asked[JWKS] == 2


async def test_forged_key_ids_do_not_become_a_flood_of_requests(
    verifier: Verifier, kit: AuthKit, stand_in: StandIn
) -> None:
    forger = AuthKit(kit.issuer)
    began = time.monotonic()
    for _ in range(8):
        forger.rotate()
        found = await asyncio.gather(*(is_refused(verifier, forger.token()) for _ in range(50)))
        assert all(found)
    assert stand_in.asked[JWKS] <= 2 + (time.monotonic() - began) / verifier.keys.look_again_every


async def test_nobody_with_a_known_key_waits_behind_forged_key_ids(verifier: Verifier, kit: AuthKit) -> None:
    forger = AuthKit(kit.issuer)
    forged = [asyncio.create_task(is_refused(verifier, forger.token())) for _ in range(20)]
    await asyncio.sleep(0)
    await verifier.verify(kit.token())
    assert not any(task.done() for task in forged)
    assert all(await asyncio.gather(*forged))


async def test_made_up_key_ids_hold_a_bounded_number_of_requests_and_the_rest_is_refused_at_once(
    verifier: Verifier, kit: AuthKit
) -> None:
    forger = AuthKit(kit.issuer)
    verifier.keys.look_again_every = 1.0
    tokens = [forger.token() for _ in range(200)]
    assert await is_refused(verifier, tokens[0])  # the keys were read just now, and will be again in a second
    forged = [asyncio.create_task(is_refused(verifier, token)) for token in tokens]
    done, waiting = await asyncio.wait(forged, timeout=0.3)
    assert len(waiting) == verifier.keys.most_waiting
    assert all(task.result() for task in done)
    await verifier.verify(kit.token())
    assert all(await asyncio.gather(*waiting))
    kit.rotate()
    await verifier.verify(kit.token())


async def test_a_withdrawn_key_verifies_nothing_more_remembered_or_not(verifier: Verifier, kit: AuthKit) -> None:
    remembered, other = kit.token(), kit.token()
    await verifier.verify(remembered)
    kit.rotate(withdraw=True)
    await verifier.verify(kit.token())  # of a key that is not known yet, so the set is read again
    assert await is_refused(verifier, remembered)
    assert await is_refused(verifier, other)


async def test_the_keys_are_read_again_when_they_are_too_old(kit: AuthKit, stand_in: StandIn) -> None:
    stand_in.max_age = 0
    remembered = kit.token()
    verifier = following(stand_in)
    verifier.keys.shortest = 0.05
    async with verifier:
        await verifier.verify(remembered)
        kit.rotate(withdraw=True)
        await eventually(is_refused, verifier, remembered)


def test_a_verifier_may_live_in_one_event_loop_after_the_other(kit: AuthKit, stand_in: StandIn) -> None:
    verifier, forger = following(stand_in), AuthKit(kit.issuer)

    async def live() -> None:
        async with verifier:
            assert all(await asyncio.gather(*(is_refused(verifier, forger.token()) for _ in range(5))))
            await verifier.verify(kit.token())

    for _ in range(2):
        asyncio.run(live())
