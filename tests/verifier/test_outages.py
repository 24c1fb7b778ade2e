"""The verifier while the service does not answer: it goes on with what it knows, and a doubt is never a 401."""

import asyncio
import logging

import pytest

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Unavailable, Verifier, WrongInternalToken
from tests.support.polling import eventually
from tests.support.stand_in import JWKS, REVOCATIONS, StandIn
from tests.support.verifiers import following, is_refused


async def test_a_service_that_is_down_stops_nobody_and_its_age_can_be_seen(
    verifier: Verifier, kit: AuthKit, stand_in: StandIn
) -> None:
    logged_out, remembered = kit.revoked(), kit.token()
    await eventually(is_refused, verifier, logged_out)
    await verifier.verify(remembered)
    age = verifier.news_age
    stand_in.stop()
    await verifier.verify(remembered)
    await verifier.verify(kit.token(roles=["admin"]), "admin")
    assert await is_refused(verifier, logged_out)
    await asyncio.sleep(0.3)
    assert verifier.news_age > age


async def test_an_unknown_key_is_no_reason_for_a_401_while_the_service_is_down(
    verifier: Verifier, kit: AuthKit, stand_in: StandIn
) -> None:
    stand_in.stop()
    kit.rotate()
    found = await asyncio.gather(*(verifier.verify(kit.token()) for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in found} == {Unavailable}


async def test_old_news_close_the_routes_that_ask_for_a_role_and_no_others(kit: AuthKit, stand_in: StandIn) -> None:
    admin = kit.token(roles=["admin"])
    async with following(stand_in, fail_closed_after_for_roles=1.0) as verifier:
        stand_in.status = 503  # as the service answers when its own news is old

        async def is_closed(expected: bool) -> bool:
            await verifier.verify(admin)
            try:
                await verifier.verify(admin, "admin")
            except Unavailable:
                return expected
            return not expected

        await eventually(is_closed, True)
        stand_in.status = 200
        await eventually(is_closed, False, seconds=30)


async def test_everybody_can_be_kept_out_while_the_news_are_old(kit: AuthKit, stand_in: StandIn) -> None:
    verifier = following(stand_in, fail_closed_after=0.0)
    async with verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(kit.token())


async def test_it_starts_without_the_service_and_lets_nobody_in_until_it_knows(
    kit: AuthKit, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "auth_service.verifier")  # whatever level an app of an earlier test has set
    stand_in.stop()
    async with following(stand_in) as verifier:
        token = kit.token()
        with pytest.raises(Unavailable):
            await verifier.verify(token)
        assert verifier.news_age == float("inf")
        stand_in.start()

        async def works() -> bool:
            try:
                await verifier.verify(token)
            except Unavailable:
                return False
            return True

        await eventually(works, seconds=20)
        assert not verifier.is_stale
    assert f"{stand_in.url} was not ready at the start" in caplog.text


@pytest.mark.parametrize("internal_token", ["wrong" * 4, None])
async def test_a_wrong_internal_token_ends_the_start(
    stand_in: StandIn, caplog: pytest.LogCaptureFixture, internal_token: str | None
) -> None:
    with pytest.raises(WrongInternalToken, match="refuses the internal token") as refused:
        await following(stand_in, internal_token=internal_token).start()
    assert "wrongwrong" not in f"{refused.value}{caplog.text}"


async def test_a_wrong_internal_token_that_shows_later_is_an_error_in_the_log_and_lets_nobody_in(
    kit: AuthKit, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.stop()  # so that the start cannot know
    async with following(stand_in, internal_token="wrong" * 4) as verifier:
        stand_in.start()

        async def told() -> bool:
            return any(record.levelname == "ERROR" for record in caplog.records)

        await eventually(told)
        with pytest.raises(Unavailable):
            await verifier.verify(kit.token())
    assert "refuses the internal token" in caplog.text
    assert "wrongwrong" not in caplog.text


async def test_staleness_is_told_once_and_so_is_its_end(
    kit: AuthKit, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "auth_service.verifier")
    stand_in.status = 500
    async with following(stand_in):

        async def asked(times: int) -> bool:
            return stand_in.asked[REVOCATIONS] >= times

        await eventually(asked, 4)
        stand_in.status = 200

        async def told_the_end() -> bool:
            return "says again who has logged out" in caplog.text

        await eventually(told_the_end)
    assert caplog.text.count("does not say who has logged out") == 1


async def test_a_verifier_that_was_never_started_says_so(kit: AuthKit) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        await Verifier(kit.issuer).verify(kit.token())


async def test_a_closed_verifier_that_meets_an_unknown_key_says_that_it_cannot_know(
    kit: AuthKit, stand_in: StandIn
) -> None:
    verifier = following(stand_in)
    async with verifier:
        await verifier.verify(kit.token())
    with pytest.raises(Unavailable):
        await verifier.verify(AuthKit().token())


async def test_a_verifier_is_started_once_and_may_start_again_after_its_end(kit: AuthKit, stand_in: StandIn) -> None:
    verifier = following(stand_in)
    for _ in range(2):
        async with verifier:
            with pytest.raises(RuntimeError, match="already"):
                await verifier.start()
            await verifier.verify(kit.token())


def test_a_leeway_beyond_a_minute_is_refused() -> None:
    with pytest.raises(ValueError, match="leeway"):
        Verifier("https://auth.test", leeway=61)


async def test_an_unchanged_that_nobody_asked_for_is_no_news(kit: AuthKit, stand_in: StandIn) -> None:
    async with following(stand_in) as verifier:
        await verifier.verify(kit.token())
    stand_in.status = 304  # with no ETag to compare, as a broken cache answers
    async with following(stand_in) as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(kit.token())


NO_KEY_SETS = ["", "{", "null", "[]", "{}", '{"keys": 1}', '{"keys": []}', '{"keys": [{"kid": "x"}]}', "[" * 100_000]


NO_SETS_OF_SESSIONS = ["{", "null", "[]", "{}", '{"sids": 1}', '{"sids": [1]}', "\xff", "[" * 100_000]


@pytest.mark.parametrize(
    ("path", "content"),
    [*((JWKS, content) for content in NO_KEY_SETS), *((REVOCATIONS, content) for content in NO_SETS_OF_SESSIONS)],
    ids=lambda text: text[:24],
)
async def test_nonsense_is_no_answer_and_what_was_known_stays(
    kit: AuthKit, stand_in: StandIn, path: str, content: str
) -> None:
    verifier, ended = following(stand_in), kit.revoked()
    stand_in.instead[path] = content or " "
    async with verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(kit.token())
    stand_in.instead.clear()
    async with verifier:
        await verifier.verify(kit.token())
    stand_in.instead[path] = content or " "
    async with verifier:
        await verifier.verify(kit.token())
        assert await is_refused(verifier, ended)
