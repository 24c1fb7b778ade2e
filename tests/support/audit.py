"""The security trail as `auth-service audit` shows it, and commands run beside an app that goes on in this process."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.conftest import environment

from .server import run_command


async def command(url: str, folder: Path, *words: str, **settings: str) -> str:
    """Run a command, which succeeds, and return what it prints."""
    done = await asyncio.to_thread(lambda: run_command(*words, env=environment(url, **settings), cwd=folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def read_audit(url: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    """What `auth-service audit` prints as JSON, the newest event first."""
    return [json.loads(line) for line in (await command(url, folder, "audit", "--json", *options)).splitlines()]
