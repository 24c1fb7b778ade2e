"""Node, and the two packages that package.json names, in a folder of the test's own."""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

# Continuous integration has it, or fails.
HAS_NODE = bool(os.environ.get("CI") or (shutil.which("node") and shutil.which("npm")))
needs_node = pytest.mark.skipif(
    not HAS_NODE,
    reason="needs node and npm, which this machine does not have",
)


def install(folder: Path) -> Path:
    """Install the packages, and put our programs beside them."""
    for name in ("package.json", "package-lock.json", "tokens.mjs", "metadata.mjs"):
        shutil.copy(HERE / name, folder)
    return install_locked(folder)


def install_locked(folder: Path, seconds: int = 120) -> Path:
    """Install what the package-lock.json of a folder pins by hash; no script of a package is run."""
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
    command = ["npm", "ci", *quiet]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def install_once(sources: Path, name: str) -> Path:
    """Install what a folder's lock pins, for all processes of a run, and for later runs until the lock changes."""
    folder, lock = Path(sys.prefix) / "lib" / name, sources / "package-lock.json"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        done = folder / "done.json"
        if not done.exists() or done.read_bytes() != lock.read_bytes():
            for file in (lock, sources / "package.json"):
                shutil.copy(file, folder)
            install_locked(folder, 240)
            shutil.copy(lock, done)
    return folder / "node_modules"


async def run(folder: Path, program: str, *arguments: str) -> Any:
    """Run a program to its end and return what it printed as JSON."""
    node = await asyncio.create_subprocess_exec(
        "node", program, *arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said, complaints = await asyncio.wait_for(node.communicate(), 60)
    assert node.returncode == 0, complaints.decode()
    return json.loads(said)


class Reader:
    """A Node process that reads tokens, one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def read(self, token: str) -> dict[str, Any]:
        """Return the claims, or `{"refused": why}`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{token}\n".encode())
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def reader(folder: Path, env: Mapping[str, str]) -> AsyncIterator[Reader]:
    """Start `tokens.mjs` with these variables, for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        "node", "tokens.mjs", cwd=folder, env={"PATH": os.environ["PATH"], **env},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Reader(process)
    finally:
        process.kill()
        await process.wait()
