"""Each gateway, started for real from the configuration that is shipped in deploy/gateways."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import mounts
from .gateway_commands import COMMANDS, Site
from .markdown import ROOT
from .server import free_port, wait_until

CONFIGURATIONS = ROOT / "deploy" / "gateways"
PACKAGED = {
    "nginx": "nginx-light libnginx-mod-http-headers-more-filter",
    "caddy": "caddy",
    "haproxy": "haproxy",
}
_MODULES = Path("/etc/nginx/modules-enabled")


@dataclass(frozen=True)
class Kind:
    """A gateway program.

    Its name, the lines that clear or set X-Auth-User by file, whether it has a cache, what it answers when it does not
    reach the service, whether it knows verify's own answers from those of any other server, whether the headers that
    may follow a chunked body end with it, and whether its own refusals are problems (RFC 9457) as the service's are.
    """

    name: str
    guards: Mapping[str, tuple[str, ...]]
    caches: bool = False
    without_service: frozenset[int] = frozenset({503})
    is_strict: bool = True
    drops_trailers: bool = True
    explains: bool = True

    @property
    def program(self) -> str | None:
        return shutil.which(self.name, path=os.environ.get("PATH", "") + ":/usr/sbin")

    @property
    def is_installed(self) -> bool:
        """Whether it can be started here: by root, and nginx needs its module headers-more too."""
        has_modules = self.name != "nginx" or any(_MODULES.glob("*headers-more*"))
        return mounts.available() and self.program is not None and has_modules

    @property
    def hint(self) -> str:
        """How to install it, for whoever reads why a test was skipped."""
        packages = PACKAGED.get(self.name)
        return f" (as root on Debian: apt-get install {packages})" if packages else " (Debian has no package of it)"

    def version(self) -> str:
        """What the program says of itself, in one line."""
        option = {"nginx": "-v", "haproxy": "-v"}.get(self.name, "version")
        done = subprocess.run([str(self.program), option], capture_output=True, text=True, timeout=10, check=True)
        line = (done.stdout + done.stderr).splitlines()[0]
        return line if self.name in line.lower() else f"{self.name} {line}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "nginx",
            {"nginx.conf": (r'more_clear_input_headers "X-Auth\*";', "proxy_set_header X-Auth-User .*")},
            caches=True,
        ),
        Kind("caddy", {"Caddyfile": (r"request_header -X-Auth\*", "request_header X-Auth-User .*")}),
        Kind(
            "haproxy",
            {"haproxy.cfg": (r"http-request del-header \^x-auth.*",), "verify.lua": ('"x-auth-user",',)},
            caches=True,
            drops_trailers=False,
        ),
        Kind(
            "traefik",
            {"dynamic.yml": ("X[-_]Auth[-_]User: .*", "authResponseHeadersRegex: .*")},
            without_service=frozenset({500, 502, 503, 504}),
            is_strict=False,
            explains=False,
        ),
        Kind(
            "envoy",
            {"envoy.yaml": (r"headers:remove\(name\)", r"patterns: \[\{exact: x-auth-user\}.*")},
            is_strict=False,
            explains=False,
        ),
    )
}


def forgetful(kind: Kind) -> Callable[[str, str], str]:
    """An edit that takes every line out of a configuration that clears or sets X-Auth-User."""

    def edit(name: str, text: str) -> str:
        for line in kind.guards.get(name, ()):
            text, count = re.subn(rf"^\s*{line}$", "", text, flags=re.MULTILINE)
            assert count, f"{name} has no line {line}"
        return text

    return edit


class Gateway:
    """A running gateway on `port` of 127.0.0.1."""

    def __init__(self, kind: Kind, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.kind = kind
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}"
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def troubles(self) -> str:
        """What it logs of servers, and of requests that failed."""
        return "\n".join(line for line in self.log().splitlines() if " 200 " not in line)

    def listens(self) -> bool:
        """Whether it takes connections; raises RuntimeError with its log if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.kind.name} ended; its log:\n{self.log()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True


@contextmanager
def started(
    kind: Kind, site: Site, folder: Path, *, edit: Callable[[str, str], str] | None = None
) -> Iterator[Gateway]:
    """Start a gateway before the service and the application of a site.

    The configuration is the shipped one, byte for byte, in the gateway's folder of a fresh Debian 12; what a place has
    to say is said as docs/gateways.md tells. For that the test has to be root (it mounts, for the gateway alone).
    `edit` gets the name and the text of each file and returns the text that is used instead.

    Raises RuntimeError with the gateway's log when it ends, TimeoutError when it does not listen.
    """
    etc = folder / "etc"
    places = _put(kind, etc, edit)
    port = free_port()
    start = COMMANDS[kind.name](port, site, etc)
    places |= mounts.fresh(folder, start.folders, start.user)
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            mounts.mounted(places, start.command, user=start.user),
            env={"PATH": path, "HOME": f"/var/lib/{kind.name}", **start.environment},
            cwd=etc,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        gateway = Gateway(kind, port, process, log)
        wait_until(gateway.listens, 15, lambda: f"{kind.name} does not listen; its log:\n{gateway.log()}")
        yield gateway
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)  # its workers too; it keeps nothing that an orderly end would save
        process.wait(10)


def _put(kind: Kind, etc: Path, edit: Callable[[str, str], str] | None) -> dict[str, Path]:
    """Put the shipped files into a copy of the gateway's folder in /etc, and return what is to be mounted there."""
    place = Path("/etc", kind.name)
    if place.is_dir():
        shutil.copytree(place, etc, symlinks=True)
    for file in (CONFIGURATIONS / kind.name).iterdir():
        text = file.read_bytes()
        etc.mkdir(exist_ok=True)
        (etc / file.name).write_bytes(edit(file.name, text.decode()).encode() if edit else text)
    return {str(place): etc} if place.is_dir() else {}


def installed(name: str) -> Kind:
    """The gateway of this name, or the test is skipped; those that Debian has are never skipped in CI."""
    found = KINDS[name]
    if not found.is_installed and not (os.environ.get("CI") and found.name in PACKAGED):
        pytest.skip(f"{found.name} is not installed{found.hint}")
    return found
