"""What a figure was measured on: without it, the figure says nothing."""

import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.figures import commit
from bench.installed import PEERS

LIBRARIES = ("fastapi", "starlette", "uvicorn", "uvloop", "sqlalchemy", "sqlmodel", "asyncpg")
_ASK_ARGON2 = (
    "from auth_service.security.passwords import argon2_build; argon2_build.choose(); print(argon2_build.running())"
)
PEER_LIBRARIES = {
    "fastapi_users/requirements.txt": ("fastapi-users", "argon2-cffi-bindings"),
    "simplejwt/requirements.txt": ("django", "djangorestframework-simplejwt", "gunicorn"),
    "better_auth/package.json": ("better-auth", "@node-rs/argon2"),
}


def describe() -> dict[str, str]:
    """When and of which commit, the machine, what else it is doing, Python, and the libraries of a request."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "load_average": f"{os.getloadavg()[0]:.1f}",
        "cores": str(len(os.sched_getaffinity(0))),
        "model": _model(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "argon2": argon2(),
    }


def argon2() -> str:
    """Which build of Argon2 a process of this service takes: `portable` or `x86-64-v3`."""
    return subprocess.run(
        [sys.executable, "-c", _ASK_ARGON2], capture_output=True, text=True, check=True
    ).stdout.strip()


def peers() -> dict[str, str]:
    """What the peers of the comparison are made of, from their locks, and Node's version."""
    found: dict[str, str] = {}
    for lock, names in PEER_LIBRARIES.items():
        found |= {name: pinned(lock, name) for name in names}
    if node := shutil.which("node"):
        found["node"] = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return found


def pinned(lock: str, name: str) -> str:
    """The version of a package in a peer's lock; raises LookupError if it is not in there."""
    text = (PEERS / lock).read_text(encoding="utf-8")
    found = re.search(rf"^\W*{name}\W+(\d[\d.]*)", text, re.MULTILINE)
    if not found:
        raise LookupError(f"{lock} has no {name}")
    return found[1]


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
