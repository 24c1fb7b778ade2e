"""`docker compose -f deploy/compose.yaml up`, without Docker: the file is valid, and its steps end in a sign-in."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.support.claims import runs
from tests.support.deployed import (
    DEPLOY,
    draw_secrets,
    localized,
    missing_programs,
    nginx,
    outside,
    postgresql,
    register_verify_and_sign_in,
    secrets_folder,
)
from tests.support.mail_server import MailServer, mail_server
from tests.support.markdown import ROOT
from tests.support.server import Server, free_port, run_command
from tests.support.shell import Shell

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# Nothing of Docker but a command in the container of the service, which here runs in its environment.
EXEC = 'docker() { test "$1 $2 $4 $5" = "compose -f exec auth" && test -f "$3" && "${@:6}"; }'
SQL_OF_THE_IMAGE = "/docker-entrypoint-initdb.d/"


def test_the_file_is_valid_by_the_schema_of_the_compose_specification() -> None:
    folder = files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = jsonschema_rs.validator_for(json.loads((folder / "compose-spec.json").read_text("utf-8")))
    assert [error.message for error in schema.iter_errors(COMPOSE)] == []
    assert not schema.is_valid({"services": {"auth": {"imagee": "auth-service"}}})


def test_every_file_is_there_and_every_network_and_volume_declared() -> None:
    for service in SERVICES.values():
        for source, *_ in (mount.split(":") for mount in service.get("volumes", ())):
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), source
        assert set(service.get("networks", ())) <= set(COMPOSE["networks"])


def test_whoever_waits_for_a_healthy_service_waits_for_one_that_says_whether_it_is() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            ends = "restart" not in SERVICES[needed]
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == expected, f"{name} needs {needed}"
            assert ends or "healthcheck" in SERVICES[needed]


def test_no_secret_stands_in_the_file_and_only_the_migration_has_the_owners() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|DATABASE_URL", variable):
                assert variable.endswith("_FILE")
                assert value.startswith("/secrets/")
        has_owners = any(mount.startswith("owner-secrets:") for mount in service.get("volumes", ()))
        assert has_owners is (name in {"secrets", "migrate"})


def test_the_gateway_that_is_trusted_is_the_gateway() -> None:
    (address,) = SERVICES["gateway"]["networks"]["front"].values()
    assert SERVICES["auth"]["environment"]["AUTH_PROXY__TRUSTED"] == f"{address}/32"


@pytest.fixture
def secrets() -> Iterator[Path]:
    if (missing := missing_programs()) and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}")
    with secrets_folder() as folder:
        yield folder


class Stack:
    """The services of the file, each started by the real program when its turn comes; their ends are in the stack."""

    def __init__(self, secrets: Path, folder: Path, mails: MailServer, stack: ExitStack) -> None:
        self._secrets, self._folder, self._stack = secrets, folder, stack
        self._database_port, self._auth_port = free_port(), free_port()
        self.mails = mails
        self.places = {
            "/secrets": str(secrets),
            "172.30.241.10/32": "127.0.0.1/32",
            "auth:8000": "127.0.0.1:8000",
            "${AUTH_PUBLIC_URL:-http://localhost:8080}": "http://localhost:8080",  # the default, as nobody has set it
        }

    def env(self, name: str) -> dict[str, str]:
        """The environment of a service, and nothing else."""
        given = {key: localized(value, self.places) for key, value in SERVICES[name]["environment"].items()}
        mail = {"AUTH_MAIL__HOST": "127.0.0.1", "AUTH_MAIL__PORT": str(self.mails.port)}
        return {key: mail.get(key, value) for key, value in given.items()}

    def secrets(self) -> None:
        assert draw_secrets(self._secrets, self._database_port) == "the secrets are drawn\n"
        assert draw_secrets(self._secrets, self._database_port) == "the secrets are there already\n"

    def database(self) -> None:
        command = localized(" ".join(SERVICES["database"]["command"]), self.places)
        settings = dict(setting.split("=") for setting in command.split() if setting != "-c")
        cluster = self._stack.enter_context(postgresql(settings, self._secrets, self._database_port))
        mounts = [mount.split(":") for mount in SERVICES["database"]["volumes"]]
        scripts = {target: DEPLOY / source for source, target, *_ in mounts if target.startswith(SQL_OF_THE_IMAGE)}
        for target in sorted(scripts):
            cluster.execute(localized(scripts[target].read_text("utf-8"), self.places))

    def migrate(self) -> None:
        done = run_command(*SERVICES["migrate"]["command"], env=self.env("migrate"), cwd=self._folder)
        assert done.returncode == 0, done.stderr

    def auth(self) -> None:
        server = Server(self.env("auth"), self._folder, port=self._auth_port)
        self._stack.enter_context(server).wait_ready(60)
        self.check_health("auth", self._auth_port)

    def gateway(self) -> None:
        site = localized((DEPLOY / "compose" / "site.conf").read_text("utf-8"), self.places)
        self.nginx = self._stack.enter_context(nginx(self._auth_port, self._folder / "nginx", site))
        self.check_health("gateway", self.nginx.port)

    def check_health(self, name: str, port: int) -> None:
        _, *command = SERVICES[name]["healthcheck"]["test"]
        here = [re.sub(r"(127\.0\.0\.1(?:', |/))80[08]0", rf"\g<1>{port}", part) for part in command]
        assert here != command
        done = subprocess.run(here, capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@runs("docs/deploying.md", "run: try")
async def test_its_steps_in_their_order_lead_from_nothing_to_a_verified_sign_in_through_nginx(
    secrets: Path, tmp_path: Path
) -> None:
    needs = {name: service.get("depends_on", ()) for name, service in SERVICES.items()}
    async with mail_server() as mails:
        with ExitStack() as ends:
            stack = Stack(secrets, tmp_path, mails, ends)
            for name in TopologicalSorter(needs).static_order():
                if name != "mail":
                    await asyncio.to_thread(getattr(stack, name))
            async with outside(stack.nginx) as client:
                tokens = await register_verify_and_sign_in(client, mails, stack.env("auth")["AUTH_PUBLIC_URL"])
                bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
                assert (await client.get("/app/")).status_code == 401
                assert (await client.get("/app/", headers=bearer)).status_code == 503  # let through, to nobody
                assert (await client.get("/health/ready")).status_code == 404
            shell = Shell(ROOT, stack.env("auth"), EXEC)
            here = {"http://localhost:8080": stack.nginx.base_url, "ada@example.com": "grace@example.com"}
            printed = await asyncio.to_thread(shell.follow, "docs/deploying.md", "run: try", replaced=here)
            assert re.search(
                r'"email":"grace@example.com".*"access_token":"eyJ.*^ok +schema', printed, re.DOTALL | re.MULTILINE
            )
