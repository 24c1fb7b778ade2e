"""A pytest plugin for who uses this service: `auth_kit` makes access tokens for services that take them, without a
network, and `auth_double` is the service itself, for clients.

pytest imports this wherever the package is installed, so it imports nothing but pytest until a fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from auth_service.testing.double import Double
    from auth_service.testing.kit import AuthKit


@pytest.fixture
def auth_kit() -> Iterator["AuthKit"]:
    """Makes tokens, good and bad ones, for `auth_kit.verifier` and for each verifier that `auth_kit.wire` was given."""
    from auth_service.testing.kit import AuthKit  # noqa: PLC0415  # only where the fixture is used

    kit = AuthKit()
    yield kit
    kit.unwire()


@pytest.fixture(scope="session")
def auth_double_process() -> Iterator["Double"]:
    """The process of `auth_double`, which all tests share."""
    from auth_service.testing.double import Double  # noqa: PLC0415  # only where the fixture is used

    with Double() as double:
        yield double


@pytest.fixture
def auth_double(auth_double_process: "Double") -> Iterator["Double"]:
    """The service itself at `auth_double.url`, without faults and with the right time; accounts of other tests stay."""
    yield auth_double_process
    auth_double_process.switch_faults()
    auth_double_process.set_clock(0)
