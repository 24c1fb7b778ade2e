"""What the files in deploy/ describe, set up with the real programs of this machine at addresses of its own."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from .client import Client
from .gateway_commands import Site
from .gateways import KINDS, Gateway, started
from .mail_server import MailServer, link_in
from .markdown import ROOT
from .postgres import Cluster, new_folder, unprivileged, with_trigrams
from .server import free_port

DEPLOY = ROOT / "deploy"
CLIENT_ADDRESS = "127.0.0.9"  # the gateway is 127.0.0.1
_HBA = """\
local all postgres trust
host all postgres 127.0.0.1/32 trust
hostssl all all all scram-sha-256
"""


def missing_programs() -> list[str]:
    """What a deployment needs and this machine has not; on Debian, all of it is in packages that CI installs."""
    found = {"openssl": shutil.which("openssl"), "nginx": KINDS["nginx"].is_installed, "postgresql": with_trigrams()}
    return [name for name, there in found.items() if not there]


@contextmanager
def secrets_folder() -> Iterator[Path]:
    """A folder into which whoever PostgreSQL runs as may look, too."""
    folder = new_folder("secrets")
    yield folder
    shutil.rmtree(folder)


def draw_secrets(folder: Path, port: int) -> str:
    """Run `make-secrets` for a PostgreSQL at this port, let its user read its own, and return what was said."""
    env = {"PATH": os.environ["PATH"], "DATABASE_HOST": "localhost", "DATABASE_PORT": str(port)}
    command = ["bash", str(DEPLOY / "compose" / "make-secrets"), str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=True)
    owner = unprivileged()
    if owner:
        folder.chmod(0o755)
        for path in [folder / "database", *(folder / "database").iterdir()]:
            os.chown(path, owner["user"], owner["group"])
    return done.stdout


@contextmanager
def postgresql(settings: Mapping[str, str], folder: Path, port: int) -> Iterator[Cluster]:
    """Debian's PostgreSQL with these settings; but for its superuser, it asks for TLS and a password."""
    (folder / "database" / "hba").write_text(_HBA)
    (folder / "database" / "hba").chmod(0o644)
    with Cluster.create(port, binaries=with_trigrams()) as cluster:
        for name, value in {**settings, "hba_file": f"{folder}/database/hba"}.items():
            cluster.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        cluster.restart()
        yield cluster


def localized(text: str, places: Mapping[str, str]) -> str:
    """A text with each place that is named in it replaced by one of this machine."""
    for place, here in places.items():
        text = text.replace(place, here)
    return text


@contextmanager
def nginx(auth_port: int, folder: Path, site: str | None = None, token: str = "") -> Iterator[Gateway]:
    """The nginx of deploy/gateways before the service; `site` stands in for its site.conf, or `token` is put into that.

    A `site` has to name the service as 127.0.0.1:8000.
    """

    def edit(name: str, text: str) -> str:
        if name != "site.conf" or site is None:
            return text
        return f"{site}\n# replace-this-by-the-internal-token\n"

    with started(KINDS["nginx"], Site(auth_port, free_port(), token), folder, edit=edit) as gateway:
        yield gateway


@asynccontextmanager
async def outside(gateway: Gateway) -> AsyncIterator[Client]:
    """A client that knows the gateway only."""
    transport = httpx.AsyncHTTPTransport(local_address=CLIENT_ADDRESS)
    async with Client(base_url=gateway.base_url, transport=transport, trust_env=False, timeout=30) as client:
        yield client


async def register_verify_and_sign_in(client: Client, mails: MailServer, public_url: str) -> dict[str, str]:
    """What a newcomer does: register, open the link in the mail, verify the address, sign in. Returns the tokens."""
    (await client.register("ada@example.com")).raise_for_status()
    (mail,) = await mails.wait_for(1)
    page, _, token = link_in(mail).partition("#token=")
    assert page.startswith(f"{public_url}/")
    (await client.get(page.removeprefix(public_url))).raise_for_status()
    (await client.verify_email(token)).raise_for_status()
    tokens: dict[str, str] = await client.sign_in()
    me = (await client.me(tokens["access_token"])).raise_for_status().json()
    assert (me["email"], me["is_verified"]) == ("ada@example.com", True)
    (session,) = await client.sessions(tokens["access_token"])
    assert session["ip"] == CLIENT_ADDRESS, "the gateway is trusted, and the client is known behind it"
    return tokens
