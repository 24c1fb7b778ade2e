"""The page about second factors is true: what it shows is what a shell gets, with codes that oathtool makes."""

import shlex
import sys
from pathlib import Path

from tests.support.claims import runs
from tests.support.server import Server
from tests.support.shell import MAKE, PATIENT, Shell, needs

PAGE = "docs/second-factor.md"
ELEVEN_MINUTES_LATER = """
import sqlite3
times = ("created_at", "authenticated_at", "last_used_at")
earlier = ", ".join(f"{name} = strftime('%Y-%m-%d %H:%M:%f000', {name}, '-11 minutes')" for name in times)
with sqlite3.connect("auth-service.db", timeout=5) as database:
    database.execute(f"UPDATE refresh_tokens SET {earlier}")
"""

TRANSCRIPT = (
    "transcript: add",
    "transcript: confirm",
    "transcript: sign in",
    "transcript: cookie",
    "transcript: step up",
    "transcript: stepped up",
    "transcript: new phone",
    "transcript: enrol",
    "transcript: reset",
    "transcript: reset now",
)


@needs("bash", "curl", "oathtool")
@runs(PAGE, "run: start", *TRANSCRIPT)
def test_the_page_can_be_followed_word_by_word(clone: Path) -> None:
    Shell(clone, prepared=MAKE).follow(PAGE, "run: start")
    with Server(PATIENT, clone) as server:
        server.wait_ready()
        Shell(clone).follow_transcript(
            PAGE,
            *TRANSCRIPT,
            replaced={"auth=http://127.0.0.1:8000/": f"auth={server.base_url}/"},
            before={"call /refresh": shlex.join([sys.executable, "-c", ELEVEN_MINUTES_LATER])},
        )
