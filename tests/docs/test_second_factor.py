"""The page about second factors is true: what it shows is what a shell gets, with codes that oathtool makes."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.markdown import text
from tests.support.server import Server
from tests.support.transcript import run_transcript, transcript

PAGE = "docs/second-factor.md"
SETTINGS = {"AUTH_COOKIES__ENABLED": "true", "AUTH_FACTORS__REQUIRED_ROLES": "admin"}
ELEVEN_MINUTES_LATER = """
import sqlite3
times = ("created_at", "authenticated_at", "last_used_at")
earlier = ", ".join(f"{name} = strftime('%Y-%m-%d %H:%M:%f000', {name}, '-11 minutes')" for name in times)
with sqlite3.connect("auth-service.db", timeout=5) as database:
    database.execute(f"UPDATE refresh_tokens SET {earlier}")
"""

needs_programs = pytest.mark.skipif(
    not os.environ.get("CI") and not all(map(shutil.which, ("bash", "curl", "oathtool"))),
    reason="the page needs bash, curl and oathtool, which this machine does not have",
)


@needs_programs
def test_the_page_can_be_followed_word_by_word(tmp_path: Path) -> None:
    parts = re.findall(r"<!-- (transcript: [\w ]+) -->", text(PAGE))
    steps = transcript(PAGE, *parts)
    (late,) = [number for number, (command, _) in enumerate(steps) if "call /refresh" in command]
    command, shown = steps[late]
    steps[late] = (f"{shlex.join([sys.executable, '-c', ELEVEN_MINUTES_LATER])}\n{command}", shown)
    settings = " ".join(f"{name}={value}" for name, value in SETTINGS.items())
    with Server(SETTINGS, tmp_path) as server:
        server.wait_ready()
        service = f'auth-service() {{ {settings} {shlex.quote(sys.executable)} -m auth_service "$@"; }}'
        run_transcript(steps, tmp_path, server.base_url, service)
