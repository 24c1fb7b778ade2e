"""The peers' packages: exactly what each one's lock names, in the user's cache and never in our own virtualenv."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / "peers"


class NotInstallableError(RuntimeError):
    """A peer cannot be had here; the text says why."""


def python_of(peer: str) -> Path:
    """The interpreter of the peer's own virtualenv, which is made the first time; of the version that runs this."""
    requirements = PEERS / peer / "requirements.txt"
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


def _cache(peer: str, content: bytes) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "auth-service-bench" / f"{peer}-{hashlib.sha256(content).hexdigest()[:12]}"


def _run(peer: str, *command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise NotInstallableError(f"{peer}: {command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
