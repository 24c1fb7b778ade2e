"""What is compared, installed: exactly what each one's lock names, in the user's cache and never in our virtualenv.

Into that goes the build of Argon2 that the container has.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from auth_service.security.passwords import argon2_build
from auth_service.settings import runs_x86_64_v3

PEERS = Path(__file__).parent / "peers"
ROOT = PEERS.parents[1]
BUILD_ARGON2 = ROOT / "deploy" / "build-argon2"


class NotInstallableError(RuntimeError):
    """A peer cannot be had here; the text says why."""


def python_of(peer: str) -> Path:
    """The interpreter of the peer's own virtualenv, which is made the first time; of the version that runs this."""
    return _python_with(peer, PEERS / peer / "requirements.txt")


def runtime_python(checkout: Path = ROOT) -> Path:
    """The interpreter of a virtualenv with what a checkout's service runs with, and nothing of its development."""
    return _python_with("auth_service", checkout / "requirements.lock")


def _python_with(peer: str, requirements: Path) -> Path:
    folder = _cache(peer, requirements.read_bytes() + platform.python_version().encode())
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(peer, sys.executable, "-m", "venv", str(folder))
        pinned = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(requirements))
        _run(peer, str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pinned)
        (folder / "done").touch()
    return python


def node_folder(peer: str) -> Path:
    """A folder with the peer's Node packages and programs."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise NotInstallableError(f"{peer}: node and npm are not installed")
    files = sorted(path for path in (PEERS / peer).iterdir() if path.is_file())
    folder = _cache(peer, b"".join(path.read_bytes() for path in files))
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in files:
            shutil.copy(path, folder)
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        _run(peer, "npm", "ci", *quiet, cwd=folder)
        (folder / "done").touch()
    return folder


def build_argon2() -> None:
    """Have what this interpreter runs hash with the build for this processor, as `make argon2` does."""
    built = argon2_build.place()
    if runs_x86_64_v3() and not built.exists():
        env = os.environ | {"PYTHON": sys.executable}
        _run("Argon2 for this processor", str(BUILD_ARGON2), str(built.parent), env=env)


def _cache(peer: str, content: bytes) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "auth-service-bench" / f"{peer}-{hashlib.sha256(content).hexdigest()[:12]}"


def _run(peer: str, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise NotInstallableError(f"{peer}: {command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
