"""The tests of the JavaScript client itself, in Node: on the double, and on the service with PostgreSQL."""

import json
import sys
from pathlib import Path

import pytest

from auth_service.testing.double import Double
from tests.conftest import environment
from tests.support.javascript_client import RunTests
from tests.support.server import Server


@pytest.mark.parametrize("about", ["basics", "faults", "background", "requests", "cookies", "answers"])
def test_its_own_tests_pass_on_the_double(run_tests: RunTests, auth_double: Double, about: str) -> None:
    run_tests(about, AUTH_URL=auth_double.url)


def test_the_service_itself_on_postgresql_is_the_same(run_tests: RunTests, postgres_url: str, tmp_path: Path) -> None:
    env = environment(postgres_url, AUTH_THROTTLE__ENABLED="false")
    with Server(env, tmp_path) as server:
        server.wait_ready()
        run_tests("basics", AUTH_URL=server.base_url)


@pytest.mark.parametrize("about", ["never-signed-out", "factors"])
def test_its_tests_with_a_double_of_their_own_pass(run_tests: RunTests, about: str) -> None:
    run_tests(about, AUTH_DOUBLE=json.dumps([sys.executable, "-m", "auth_service", "double"]))
