"""The shell blocks of the page for integrators get the answers that they show."""

from pathlib import Path

import httpx

from tests.support.claims import runs
from tests.support.server import Server
from tests.support.shell import PATIENT, Shell, needs

PAGE = "docs/integrating.md"
# What somebody does who looks for the token in the log.
FIND = """
find() {
    for _ in $(seq 200); do
        if token=$(grep -o "pages/$1#token=lnk_[A-Za-z0-9_-]*" LOG); then token=${token##*=}; return; fi
        sleep 0.05
    done
    return 1
}
"""


@needs("curl")
@runs(PAGE, "transcript: step up", "transcript: verify", "transcript: reset")
def test_the_calls_of_the_page_get_the_answers_that_it_shows(tmp_path: Path) -> None:
    with Server(PATIENT, tmp_path) as server:
        server.wait_ready()
        who = {"email": "ada@example.com", "password": "correct horse battery staple"}
        httpx.post(server.base_url + "/auth/register", json=who, trust_env=False).raise_for_status()
        ask = "curl -s -o /dev/null -w '%{http_code}\\n' \"$auth/"
        Shell(tmp_path, prepared=FIND.replace("LOG", str(server.log_file))).follow_transcript(
            PAGE,
            "transcript: step up",
            "transcript: verify",
            "transcript: reset",
            replaced={"auth=http://127.0.0.1:8000/": f"auth={server.base_url}/"},
            before={f"{ask}verify-email": "find verify-email", f"{ask}reset-password": "find reset-password"},
        )
