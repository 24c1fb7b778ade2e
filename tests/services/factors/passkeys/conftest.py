"""An account of a service that has passkeys."""

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.passkeys import PASSKEYS


@pytest.fixture
async def keeper(make_client: MakeClient) -> Client:
    """A client of a service with passkeys, where ada has an account."""
    client = await make_client(**PASSKEYS)
    (await client.register("ada@example.com", username="ada")).raise_for_status()
    return client
