"""A pytest plugin for services that take the access tokens: the fixture `auth_kit`, without a network.

pytest imports this wherever the package is installed, so it imports nothing but pytest until the fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from auth_service.testing.kit import AuthKit


@pytest.fixture
def auth_kit() -> Iterator["AuthKit"]:
    """Makes tokens, good and bad ones, for `auth_kit.verifier` and for each verifier that `auth_kit.wire` was given."""
    from auth_service.testing.kit import AuthKit  # noqa: PLC0415  # only where the fixture is used

    kit = AuthKit()
    yield kit
    kit.unwire()
