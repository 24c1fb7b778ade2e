"""Fixtures for the verifier: a kit that signs, a server that publishes, and a verifier that follows it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from auth_service.testing.kit import AuthKit
from auth_service.verifier import InvalidToken, Verifier
from tests.support.stand_in import INTERNAL_TOKEN, StandIn

LOOK_AGAIN_EVERY = 0.1  # seconds
JWKS = "/.well-known/jwks.json"
REVOCATIONS = "/internal/revocations"


@pytest.fixture
def kit() -> AuthKit:
    return AuthKit()


@pytest.fixture
def stand_in(kit: AuthKit) -> Iterator[StandIn]:
    with StandIn(kit) as running:
        yield running


@pytest.fixture
async def verifier(kit: AuthKit, stand_in: StandIn) -> AsyncIterator[Verifier]:
    """A verifier that knows the kit through the stand-in alone."""
    async with following(stand_in) as started:
        yield started


def following(stand_in: StandIn, **options: Any) -> Verifier:
    """A verifier, not started yet, that does not wait as long before it asks for the keys once more."""
    options = {"service": stand_in.url, "internal_token": INTERNAL_TOKEN, **options}
    made = Verifier(stand_in.kit.issuer, **options)
    made.keys.look_again_every = LOOK_AGAIN_EVERY
    return made


async def is_refused(verifier: Verifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except InvalidToken:
        return True
    return False
