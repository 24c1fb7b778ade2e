"""Fixtures: a service that sends its mail to a real SMTP server of the tests' own."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.link_mails import LinkMails


@pytest.fixture
async def mails() -> AsyncIterator[LinkMails]:
    async with LinkMails.start() as running:
        yield running


@pytest.fixture
async def client(make_client: MakeClient, mails: LinkMails) -> Client:
    """A client for an app that sends mail."""
    return await make_client(**mails.settings)
