"""What each gateway is told about the place where it stands, and how it is started: as docs/gateways.md says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .server import free_port


@dataclass(frozen=True)
class Site:
    """What a gateway is told about the place where it stands: two ports of 127.0.0.1, and the internal token."""

    auth_port: int
    app_port: int
    token: str


@dataclass(frozen=True)
class Start:
    """A command with its environment, the user who runs it, and the folders that its Debian package brings, empty."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "root"
    folders: Sequence[str] = ()


def _nginx(port: int, site: Site, etc: Path) -> Start:
    _replace(etc / "listen.conf", {"listen 8080;": f"listen 127.0.0.1:{port};"})
    addresses = {
        "127.0.0.1:8000": f"127.0.0.1:{site.auth_port}",
        "127.0.0.1:3000": f"127.0.0.1:{site.app_port}",
        "replace-this-by-the-internal-token": site.token,
    }
    _replace(etc / "site.conf", addresses)
    return Start(["nginx", "-g", "daemon off;"], folders=["/var/cache", "/var/lib/nginx", "/var/log/nginx", "/run"])


def _caddy(port: int, site: Site, _etc: Path) -> Start:
    settings = {"GATEWAY_ADDRESS": f"http://:{port}", **_addresses(site)}
    command = ["caddy", "run", "--config", "/etc/caddy/Caddyfile"]
    return Start(command, settings, "caddy", ["/var/lib/caddy", "/var/log/caddy"])


def _haproxy(port: int, site: Site, _etc: Path) -> Start:
    places = {"GATEWAY_BIND": f"127.0.0.1:{port}", "GATEWAY_VERIFY": f"abns@auth-verify-{port}"}
    command = ["haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg", "-p", "/run/haproxy.pid"]
    return Start(command, {**places, **_addresses(site)}, folders=["/run", "/var/lib/haproxy"])


def _traefik(port: int, site: Site, etc: Path) -> Start:
    _replace(etc / "traefik.yml", {'":8080"': f'"127.0.0.1:{port}"'})
    return Start(["traefik", "--configFile=traefik.yml"], _addresses(site))


def _envoy(port: int, site: Site, etc: Path) -> Start:
    ports = {8080: port, 8091: free_port(), 8000: site.auth_port, 3000: site.app_port}
    _replace(etc / "envoy.yaml", {f"port_value: {old}}}": f"port_value: {new}}}" for old, new in ports.items()})
    command = ["envoy", "--config-path", "envoy.yaml", "--disable-hot-restart"]
    return Start(command, {"AUTH_INTERNAL_TOKEN": site.token})


def _addresses(site: Site) -> dict[str, str]:
    return {
        "GATEWAY_AUTH": f"127.0.0.1:{site.auth_port}",
        "GATEWAY_APP": f"127.0.0.1:{site.app_port}",
        "AUTH_INTERNAL_TOKEN": site.token,
    }


def _replace(file: Path, changes: Mapping[str, str]) -> None:
    """Say in a file what its user would say there: an address, the token. Nothing else is changed in any file."""
    text = file.read_text("utf-8")
    for old, new in changes.items():
        assert old in text, f"{file.name} has no {old}"
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


COMMANDS = {"nginx": _nginx, "caddy": _caddy, "haproxy": _haproxy, "traefik": _traefik, "envoy": _envoy}
