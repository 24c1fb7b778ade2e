"""The page about passkeys is true: what it shows to try is what a shell gets. The page itself: tests/gateways."""

import re
from pathlib import Path

from tests.support.claims import runs
from tests.support.javascript_client import put_sources
from tests.support.markdown import named
from tests.support.server import Server, free_port, run_command
from tests.support.shell import MAKE, PATIENT, Shell, needs

PAGE = "docs/passkeys.md"
# A web server that is asked once for the page that it serves, and ends.
SERVE = """
npm() { [ "$3" = ci ] || command npm "$@"; }  # what it installs is there
python3() {
    command python3 "$@" 2>log &
    curl -fs --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 20 "http://127.0.0.1:$3/index.html" >served
    kill $!
}
"""


@needs("bash", "curl", "sed", "node", "npm")
@runs(PAGE, "run: settings", "run: page to try", "run: demand", "transcript: demanded")
def test_what_there_is_to_try_can_be_followed_word_by_word(clone: Path) -> None:
    Shell(clone, prepared=MAKE).follow(PAGE, "run: settings")
    with Server(PATIENT, clone) as server:
        server.wait_ready()
        address = server.base_url.replace("127.0.0.1", "localhost")
        here = {"curl http://localhost:8000": f"curl {address}", "http.server 3000": f"http.server {free_port()}"}
        put_sources(clone / "clients" / "javascript")
        printed = Shell(clone, {"TMPDIR": str(clone)}, SERVE).follow(PAGE, "run: page to try", replaced=here)
        assert printed.startswith('{"id":')
        page = named(PAGE, "run: page").text
        assert (next(clone.glob("tmp.*")) / "auth-service-client.js").stat().st_size > 0
        steps = named(PAGE, "run: second steps").text
        assert (next(clone.glob("tmp.*")) / "second-steps.js").read_text().strip() == steps.strip()
        assert (clone / "served").read_text() == page.replace("https://auth.example.com", "http://localhost:8000")
    asked = Shell(clone, prepared=MAKE).follow(PAGE, "run: demand")
    assert re.findall(r"\w+@\S+", asked) == ["root@example.com"]
    with Server(PATIENT, clone) as server:
        server.wait_ready()
        here = {"http://localhost:8000/auth": f"{server.base_url}/auth"}
        Shell(clone).follow_transcript(PAGE, "transcript: demanded", replaced=here)


@runs(PAGE, "run: android")
def test_the_fingerprint_of_an_app_becomes_an_origin_that_can_be_listed(tmp_path: Path) -> None:
    Shell(tmp_path).follow_transcript(PAGE, "run: android")
    origin = named(PAGE, "run: android").text.split()[-1]
    env = {"AUTH_PASSKEYS__RP_ID": "example.com", "AUTH_PASSKEYS__ORIGINS": f"https://example.com,{origin}"}
    done = run_command("config", "check", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
