"""Fixtures for attacks on access tokens."""

import pytest

from tests.support.client import Client
from tests.support.forge import Forge, open_forge


@pytest.fixture
async def token(ada: Client) -> str:
    """A valid access token of ada's."""
    found: str = (await ada.sign_in())["access_token"]
    return found


@pytest.fixture
async def forge(token: str, database_url: str) -> Forge:
    """That token, taken apart, and the service's own key; needs a database that can be reached from outside."""
    return await open_forge(database_url, token)
