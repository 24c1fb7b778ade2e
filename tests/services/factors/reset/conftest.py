"""A service that sends mail, and an owner with a second factor."""

import pytest

from tests.services.accounts.links.conftest import client, mails
from tests.support.client import Client
from tests.support.link_mails import LinkMails
from tests.support.owner import FactorOwner, owner_of_factor

__all__ = ("client", "mails")


@pytest.fixture
async def ada(client: Client, mails: LinkMails) -> FactorOwner:
    return await owner_of_factor(client, mails)
