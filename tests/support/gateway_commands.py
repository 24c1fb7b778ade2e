"""What each gateway is told about the place where it stands, and how it is started: as docs/gateways.md says."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .server import free_port


@dataclass(frozen=True)
class Site:
    """What a gateway is told about the place where it stands: two ports of 127.0.0.1, and the internal token."""

    auth_port: int
    app_port: int
    token: str


def _nginx(port: int, site: Site, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    (folder / "listen.conf").write_text(f"listen 127.0.0.1:{port};\n", "utf-8")
    changes = {
        "127.0.0.1:8000": f"127.0.0.1:{site.auth_port}",
        "127.0.0.1:3000": f"127.0.0.1:{site.app_port}",
        "replace-this-by-the-internal-token": site.token,
        "/var/cache/nginx/auth": f"{folder}/cache",
        "/var/log/nginx/access.log": "off",
    }
    _replace(folder / "site.conf", changes)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    with (folder / "site.conf").open("a", encoding="utf-8") as file:
        file.write(temporary)  # in the build's own folders only root may write
    main = f"daemon off; pid {folder}/pid; error_log stderr warn; {'user root;' if os.geteuid() == 0 else ''}"
    return ["-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", main], {}


def _caddy(port: int, site: Site, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    settings = {
        "GATEWAY_ADDRESS": f"http://:{port}",
        "GATEWAY_AUTH": f"127.0.0.1:{site.auth_port}",
        "GATEWAY_APP": f"127.0.0.1:{site.app_port}",
        "AUTH_INTERNAL_TOKEN": site.token,
    }
    return ["run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")], settings


def _haproxy(port: int, site: Site, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    settings = {
        "GATEWAY_BIND": f"127.0.0.1:{port}",
        "GATEWAY_VERIFY": f"abns@auth-verify-{port}",
        "GATEWAY_AUTH": f"127.0.0.1:{site.auth_port}",
        "GATEWAY_APP": f"127.0.0.1:{site.app_port}",
        "AUTH_INTERNAL_TOKEN": site.token,
    }
    return ["-db", "-f", str(folder / "haproxy.cfg")], settings


def _traefik(port: int, site: Site, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    _replace(folder / "traefik.yml", {'":8080"': f'"127.0.0.1:{port}"'})
    settings = {
        "GATEWAY_AUTH": f"127.0.0.1:{site.auth_port}",
        "GATEWAY_APP": f"127.0.0.1:{site.app_port}",
        "AUTH_INTERNAL_TOKEN": site.token,
    }
    return ["--configFile=traefik.yml"], settings


def _envoy(port: int, site: Site, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    ports = {8080: port, 8091: free_port(), 8000: site.auth_port, 3000: site.app_port}
    _replace(folder / "envoy.yaml", {f"port_value: {old}}}": f"port_value: {new}}}" for old, new in ports.items()})
    return ["--config-path", "envoy.yaml", "--disable-hot-restart"], {"AUTH_INTERNAL_TOKEN": site.token}


def _replace(file: Path, changes: Mapping[str, str]) -> None:
    """Say in a file what its user would say there: an address, the token."""
    text = file.read_text("utf-8")
    for old, new in changes.items():
        assert old in text, f"{file.name} has no {old}"
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


COMMANDS = {"nginx": _nginx, "caddy": _caddy, "haproxy": _haproxy, "traefik": _traefik, "envoy": _envoy}
