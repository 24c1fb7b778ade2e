"""One code, used fifty times at once through two processes: whoever is first signs in, and nobody else does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from jose import jwt

from auth_service.security.keys import SecretKeys
from auth_service.security.tokens.challenges import ChallengeCodec, ChallengePurpose, Passed
from tests.conftest import SECRET
from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.gate import Gate, gate
from tests.support.server import Server
from tests.support.sql import run_sql
from tests.support.two_processes import client_of, connections, two_processes

AT_ONCE = 50
# Each racer has a connection of its own, whichever process serves it; nothing but the statement decides.
ROOM = {"DB_POOL_SIZE": "40", "DB_MAX_OVERFLOW": "0", "DB_POOL_TIMEOUT": "2", "AUTH_THROTTLE__ENABLED": "false"}
OPENED = "SELECT count(*) FROM audit_events WHERE event = 'login.succeeded' AND session_id IS NOT NULL"


class CodeRace:
    """A service of two processes, and whoever sends codes to it."""

    def __init__(self, url: str, server: Server, client: Client, held: Gate, app: Authenticator) -> None:
        self.url, self.app = url, app
        self._user_id = UUID(jwt.get_unverified_claims(app.tokens["access_token"])["sub"])
        self._server, self._client, self._held = server, client, held

    async def challenges(self) -> list[str]:
        return list(await asyncio.gather(*(self._client.challenge() for _ in range(AT_ONCE))))

    def aged_challenge(self, seconds: float) -> str:
        """A challenge as the service makes it, of so long ago."""
        at, epoch = datetime.now(UTC) - timedelta(seconds=seconds), 1  # which the first factor has raised it to
        codec = ChallengeCodec(SecretKeys([SECRET]))
        return codec.issue(ChallengePurpose.SECOND_FACTOR, self._user_id, epoch, Passed.PASSWORD, at)

    async def run(self, challenges: list[str], codes: list[str], seconds: float = 0) -> Counter[int]:
        """Send each challenge with its code, all at once, let them wait so long, and return how often each status was
        the answer.
        """
        ((before,),) = await run_sql(self.url, OPENED)
        await self._held.close("SELECT 1 FROM users FOR UPDATE")
        pairs = zip(challenges, codes, strict=True)
        racers = [asyncio.create_task(self._client.second_factor(*pair)) for pair in pairs]
        await self._held.wait_for(len(racers), seconds=60)
        assert len(racers) == 1 or min(connections(self._server, self.url)) > 1, "both processes take part"
        await asyncio.sleep(seconds)
        await self._held.open()
        answers = await asyncio.gather(*racers)
        ((opened,),) = await run_sql(self.url, OPENED)
        seen = Counter(answer.status_code for answer in answers)
        assert opened - before == seen[200]
        return seen


@pytest.fixture
async def race(postgres_url: str, tmp_path: Path) -> AsyncIterator[CodeRace]:
    with two_processes(postgres_url, tmp_path, **ROOM) as server:
        async with client_of(server) as client, gate(postgres_url) as held:
            app = await Authenticator.add(client, await client.sign_in())
            yield CodeRace(postgres_url, server, client, held, app)


async def test_of_fifty_uses_of_one_code_at_once_exactly_one_opens_a_session(race: CodeRace) -> None:
    codes = {"an app's": race.app.code(), "a recovery code": race.app.recovery_codes[0]}
    for kind, code in codes.items():
        seen = await race.run(await race.challenges(), [code] * AT_ONCE)
        assert seen == {200: 1, 401: AT_ONCE - 1}, kind


async def test_of_eleven_codes_for_one_challenge_at_once_exactly_one_opens_a_session(race: CodeRace) -> None:
    (challenge, *_), codes = await race.challenges(), [race.app.code(), *race.app.recovery_codes]
    assert await race.run([challenge] * 11, codes) == {200: 1, 401: 10}


async def test_a_challenge_that_ends_while_its_statement_waits_opens_nothing_and_uses_nothing_up(
    race: CodeRace,
) -> None:
    code, challenge = race.app.recovery_codes[0], race.aged_challenge(298)
    assert await race.run([challenge], [code], seconds=3) == {401: 1}
    assert await race.run([race.aged_challenge(0)], [code]) == {200: 1}
