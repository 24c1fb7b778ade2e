"""The commands of docs/gateways.md on a fresh Debian 12, with every file and address as it is shipped."""

import base64
import os
import re
import secrets
import shlex
import sys
from collections.abc import Iterator

import pytest

from tests.support import mounts
from tests.support.claims import runs
from tests.support.gateways import installed
from tests.support.machine import Machine
from tests.support.markdown import block, named, ran

PAGE = "docs/gateways.md"
RENDERED = "docs/server-rendered.md"
TOKEN = base64.b64encode(b"\xff\xef\xbe" + secrets.token_bytes(30)).decode()  # has "/" and "+", as tokens may
WORKERS = {"nginx": "www-data", "caddy": "caddy", "haproxy": "haproxy"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One on which the service listens where it does unless told otherwise."""
    if not mounts.available() and not os.environ.get("CI"):
        pytest.skip("only root may follow the page")
    with Machine.started(tmp_path_factory.mktemp("fresh") / "machine") as running:
        running.spawn(sys.executable, "-m", "auth_service", "serve", AUTH_INTERNAL_TOKEN=TOKEN)
        running.wait_for(8000)
        yield running


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("nginx", marks=runs(PAGE, "run: nginx", "run: look", "run: second nginx")),
        pytest.param("caddy", marks=runs(PAGE, "run: caddy", "run: look")),
        pytest.param("haproxy", marks=runs(PAGE, "run: haproxy", "run: look")),
    ],
)
def test_the_commands_of_the_page_lead_to_a_gateway_that_publishes_and_asks(machine: Machine, name: str) -> None:
    assert installed(name)
    machine.follow(PAGE, f"run: {name}", AUTH_INTERNAL_TOKEN=TOKEN)
    try:
        machine.wait_for(8080)
        wanted = re.findall(r"# (\d+):", named(PAGE, "run: look").text)
        assert machine.follow(PAGE, "run: look").split() == wanted == ["200", "401", "404"]
        if name == "nginx":
            machine.follow(PAGE, "run: second nginx")
            machine.wait_for(8080)
            assert machine.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/shop/") == "401"
        users = {process.username() for process in machine.processes(name)}
        assert WORKERS[name] in users
        assert users <= {"root", WORKERS[name]}
        arguments = str([process.cmdline() for process in machine.processes(name)])
        assert TOKEN not in machine.run(f"cat /run/{name}.journal") + arguments
        assert machine.run(f"find /etc -type f -perm /044 -exec grep -lF {TOKEN} {{}} + || true") == ""
    finally:
        machine.run(f"systemctl stop {name}")


@runs(PAGE, "run: nginx")
@runs(RENDERED, "run: pages.py", "run: start", "run: install", "run: look")
def test_the_commands_for_a_site_rendered_on_the_server_lead_to_its_form(machine: Machine) -> None:
    assert installed("nginx")
    machine.write("pages.py", block(RENDERED, "run: pages.py"))
    machine.spawn(sys.executable, "-m", *shlex.split(named(RENDERED, "run: start").text, comments=True))
    machine.wait_for(3000)
    ran(RENDERED, "run: start")
    machine.follow(PAGE, "run: nginx", AUTH_INTERNAL_TOKEN=TOKEN)
    machine.follow(RENDERED, "run: install")
    try:
        machine.wait_for(8080)
        look = "curl -s -o /dev/null -w '%{http_code} %header{location}' http://127.0.0.1:8080"
        assert machine.run(f"{look}/orders?page=2") == "303 /sign-in?next=/orders?page=2"
        wanted = re.findall(r"# (\d+):", named(RENDERED, "run: look").text)
        assert machine.follow(RENDERED, "run: look").split() == wanted == ["200", "200", "303", "303"]
    finally:
        machine.run("systemctl stop nginx")
