"""A service that sends its mail to a real SMTP server of the tests' own, and an owner with a second factor."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.link_mails import LinkMails
from tests.support.owner import FactorOwner, owner_of_factor


@pytest.fixture
async def mails() -> AsyncIterator[LinkMails]:
    async with LinkMails.start() as running:
        yield running


@pytest.fixture
async def client(make_client: MakeClient, mails: LinkMails) -> Client:
    return await make_client(**mails.settings)


@pytest.fixture
async def ada(client: Client, mails: LinkMails) -> FactorOwner:
    return await owner_of_factor(client, mails)
