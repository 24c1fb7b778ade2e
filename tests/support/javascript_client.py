"""The JavaScript client, installed and built as an author of it would."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.interop.node import install_once
from tests.support.browser import Site
from tests.support.markdown import ROOT, block

SOURCES = ROOT / "clients" / "javascript"
RunTests = Callable[..., None]
NOT_OURS = ("node_modules", "dist", "build")


def build(folder: Path) -> None:
    """Build the client and its own tests in a folder: once for all processes of a run."""
    folder.mkdir(exist_ok=True)
    with (folder / "busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        if not (folder / "built").exists():
            put_sources(folder)
            run(folder, "npm", "run", "build")
            run(folder, "npm", "run", "build:tests")
            (folder / "built").touch()


def put_sources(folder: Path) -> None:
    """Copy the client's sources to a folder, with what building it needs."""
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns(*NOT_OURS), dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(install_once(SOURCES, "javascript-client"))


def put_client(site: Site, client: Path) -> None:
    """Give a site the client, where the pages of docs/ look for it."""
    site.pages["/auth-service-client.js"] = (client / "dist" / "index.js").read_text()


def put_page(site: Site, client: Path, url: str, api: str = "https://api.example.com", mode: str = "cookie") -> str:
    """Give a site the page of docs/browsers.md, with the client beside it; return the page for variants of it."""
    page = block("docs/browsers.md", "run: page").replace("https://auth.example.com", url)
    page = page.replace("https://api.example.com", api).replace('mode: "cookie"', f'mode: "{mode}"')
    put_client(site, client)
    site.pages["/" if mode == "cookie" else f"/{mode}"] = page
    return page


def run(folder: Path, *command: str, given: str = "", **env: str) -> str:
    """Return what a command prints; fail unless it succeeds."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **env},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
