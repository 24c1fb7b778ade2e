"""The tests of the JavaScript client itself, in Node: on the double, and on the service with PostgreSQL."""

import json
import sys
from pathlib import Path

import pytest

from auth_service.testing.double import Double
from tests.conftest import environment
from tests.support.server import Server

from .conftest import RunTests


@pytest.mark.parametrize("about", ["basics", "faults", "requests", "cookies"])
def test_its_own_tests_pass_on_the_double(run_tests: RunTests, auth_double: Double, about: str) -> None:
    run_tests(about, AUTH_URL=auth_double.url)


def test_the_service_itself_on_postgresql_is_the_same(run_tests: RunTests, postgres_url: str, tmp_path: Path) -> None:
    env = environment(postgres_url, AUTH_THROTTLE__ENABLED="false")
    with Server(env, tmp_path) as server:
        server.wait_ready()
        run_tests("basics", AUTH_URL=server.base_url)


def test_ten_hours_of_twenty_tabs_sign_nobody_out(run_tests: RunTests) -> None:
    run_tests("never-signed-out", AUTH_DOUBLE=json.dumps([sys.executable, "-m", "auth_service", "double"]))
