"""The site of docs/server-rendered.md: its back ends as they stand there, and nginx with the file that is for it."""

import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from .client import PASSWORD
from .gateway_commands import Site
from .gateway_places import INTERNAL_TOKEN
from .gateways import Gateway, installed, started
from .markdown import ROOT, block, named
from .server import free_port, wait_until

PAGE = "docs/server-rendered.md"
COOKIE = "__Host-session"
APPLICATION = ROOT / "deploy" / "gateways" / "pages" / "application.conf"


@contextmanager
def back_end(name: str, auth_port: int, folder: Path) -> Iterator[int]:
    """Run `pages.py` or `back.mjs` of the page before the service at a port, and return its own."""
    folder.mkdir()
    (folder / name).write_text(block(PAGE, f"run: {name}"), "utf-8")
    port = free_port()
    if name == "pages.py":
        line = named(PAGE, "run: start").text.replace("--port 3000", f"--port {port}")
        command = [sys.executable, "-m", *shlex.split(line, comments=True)]
    else:
        node = shutil.which("node")
        if not node and not os.environ.get("CI"):
            pytest.skip("node is not installed")
        command = [str(node), name]
    env = {"PATH": os.environ["PATH"], "SERVICE_URL": f"http://127.0.0.1:{auth_port}", "PORT": str(port)}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log) as it,
    ):
        try:
            wait_until(lambda: _answers(port), 30, (folder / "log").read_text)
            yield port
        finally:
            it.terminate()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/sign-in", trust_env=False).status_code > 0
    except httpx.TransportError:
        return False


@dataclass(frozen=True)
class Tls:
    """A port of 127.0.0.1 with TLS, the files of its certificate, and of the authority that has signed it."""

    port: int
    certificate: Path
    key: Path
    authority: Path

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def listen(self, text: str) -> str:
        """Return listen.conf with what its comments show."""
        places = {
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "/etc/ssl/certs/example.pem": str(self.certificate),
            "/etc/ssl/private/example.key": str(self.key),
        }
        for old, new in places.items():
            assert old in text
            text = text.replace(old, new)
        return re.sub(r"^# (listen|ssl_)", r"\1", text, flags=re.MULTILINE)


@contextmanager
def nginx_before(
    app_port: int, auth_port: int, folder: Path, tls: Tls | None = None, change: Callable[[str], str] = str
) -> Iterator[Gateway]:
    """Start nginx with `application.conf` of the page in the place of that of deploy/gateways/nginx.

    `change` gets that file's text and returns the text that is used.
    """

    def edit(name: str, text: str) -> str:
        if name == "listen.conf" and tls:
            return tls.listen(text)
        return change(APPLICATION.read_text("utf-8")) if name == APPLICATION.name else text

    with started(installed("nginx"), Site(auth_port, app_port, INTERNAL_TOKEN), folder, edit=edit) as gateway:
        yield gateway


class Visitor(httpx.Client):
    """Somebody's browser, as far as cookies go (also `Secure` ones without TLS, as on localhost), at an address."""

    def __init__(self, gateway: Gateway, address: str = "127.0.0.9", tls: Tls | None = None) -> None:
        verify = ssl.create_default_context(cafile=tls.authority) if tls else True
        transport = httpx.HTTPTransport(local_address=address, verify=verify)
        self.origin = tls.origin if tls else gateway.base_url
        super().__init__(base_url=self.origin, transport=transport, trust_env=False, timeout=30)
        self.session = ""

    def look(self, target: str, **headers: str) -> httpx.Response:
        return self._keep(self.get(target, headers={**self._cookie(), **headers}))

    def send_form(self, target: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        own = {"Origin": self.origin, **self._cookie(), **headers}
        return self._keep(self.post(target, data=fields, headers={name: own[name] for name in own if own[name]}))

    def sign_in(self, email: str, password: str = PASSWORD, target: str = "/", **headers: str) -> httpx.Response:
        return self.send_form("/sign-in", {"email": email, "password": password, "next": target}, **headers)

    @property
    def tokens(self) -> tuple[str, str]:
        access_token, _, refresh_token = self.session.partition("~")
        return access_token, refresh_token

    def _cookie(self) -> dict[str, str]:
        return {"Cookie": f"theme=dark; {COOKIE}={self.session}; lang=en"} if self.session else {}

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        self.cookies.clear()
        for line in answer.headers.get_list("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            assert name == COOKIE
            assert {"httponly", "path=/", "samesite=lax", "secure"} <= {
                part.strip().lower() for part in line.split(";")
            }
            self.session = value.strip('"')
        return answer
