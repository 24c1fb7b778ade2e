"""After an emergency a new key signs at once: a process that has not read it yet must not take it for a forgery."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from auth_service.database import migrator
from auth_service.errors import DatabaseUnavailable, InvalidAccessToken
from auth_service.repositories.database import Database
from auth_service.security.keys import SecretKeys
from auth_service.security.tokens.access_tokens import AccessTokens
from auth_service.security.tokens.claims import Subject
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.signing_keys.key_ring import LOOK_AGAIN_EVERY, KeyRing
from auth_service.services.signing_keys.lifecycle import KeyLifecycle
from tests.conftest import SECRET, make_settings

SECRETS = SecretKeys([SECRET])
LEEWAY = timedelta(seconds=5)


class CountingKeys(KeyRing):
    """The keys as one process knows them; `broken` stands for a database that does not answer."""

    readings, broken = 0, False

    async def _load(self):  # type: ignore[no-untyped-def]
        self.readings += 1
        if self.broken:
            raise DatabaseUnavailable
        return await super()._load()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(make_settings(f"sqlite+aiosqlite:///{tmp_path}/auth.db").database)
    await opened.run_sync(migrator.upgrade, migrator.BUDGET)
    yield opened
    await opened.dispose()


async def _two_processes(database: Database) -> tuple[CountingKeys, CountingKeys]:
    tokens = AccessTokens("issuer", "audience", "client", timedelta(minutes=5), LEEWAY)
    here, there = (CountingKeys(database, SECRETS, tokens, DatabaseClock(LEEWAY, is_own=True)) for _ in range(2))
    await here.signer()
    await there.signer()
    return here, there


async def _sign(keys: KeyRing) -> str:
    now = datetime.now(UTC)
    issued = await keys.sign(Subject(uuid4(), uuid4(), "user", now, "aal1", "pwd"), now, 60)
    return issued.token


async def _take_over(database: Database, keys: KeyRing) -> None:
    await KeyLifecycle(database, SECRETS, timedelta(0)).revoke((await keys.signer()).kid)
    await keys.reload()


async def test_a_token_of_a_key_that_took_over_is_accepted_by_a_process_that_has_not_read_it(
    database: Database,
) -> None:
    here, there = await _two_processes(database)
    old = await _sign(here)
    await _take_over(database, here)
    await there.verify(await _sign(here))
    with pytest.raises(InvalidAccessToken):
        await there.verify(old)


async def test_made_up_key_ids_are_no_flood_of_queries(database: Database) -> None:
    here, there = await _two_processes(database)
    old = await _sign(here)
    await _take_over(database, here)
    await there.reload()
    before, loop = there.readings, asyncio.get_running_loop()
    started = loop.time()
    for _ in range(3):
        answers = await asyncio.gather(*(there.verify(old) for _ in range(50)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {InvalidAccessToken}
    assert there.readings - before <= 3
    assert loop.time() - started > 2 * LOOK_AGAIN_EVERY


async def test_an_unknown_key_is_no_forgery_while_the_keys_cannot_be_read(database: Database) -> None:
    here, there = await _two_processes(database)
    await _take_over(database, here)
    token, there.broken = await _sign(here), True
    before = there.readings
    answers = await asyncio.gather(*(there.verify(token) for _ in range(50)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {DatabaseUnavailable}
    assert there.readings - before == 1
    there.broken = False
    await there.verify(token)
