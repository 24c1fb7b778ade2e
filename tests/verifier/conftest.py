"""Fixtures for the verifier: a kit that signs, a server that publishes, and a verifier that follows it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Verifier
from tests.support.stand_in import StandIn
from tests.support.verifiers import following


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
