"""The page of the protocol: its diagram and tables agree with its rules and with the service, and a client that is
written from the rules alone keeps its session.
"""

import json
import os
import random
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from auth_service_client import FileStore

from auth_service.testing.double import Double
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.document import document
from tests.support.markdown import block, code, named, ran, section, tables, text
from tests.support.shell import Shell, needs

PAGE = "docs/protocol.md"
PROCESSES, ROUNDS = 6, 3
TIRED = {"share": 0.25, "times": None}
FAULTS = [
    {"fault": "lose-answer", **TIRED},
    {"fault": "lose-request", **TIRED},
    {"fault": "unavailable", "seconds": 0, **TIRED},
]
SLEPT = {"fault": "lose-answer", "jump": 600}
AGAIN, LATER, KILLED = 3, 75, -9


@runs(PAGE, "diagram: states")
def test_the_diagram_has_the_states_of_the_table_and_the_numbers_of_the_rules() -> None:
    diagram = block(PAGE, "diagram: states")
    states = {state for arrow in re.findall(r"(\w+) --> (\w+)", diagram) for state in arrow}
    (rows,) = [table for table in tables(text(PAGE)) if table[0][0] == "SignedOut"]
    assert states == {row[0] for row in rows}
    signed_out = set(re.findall(r"(\w+) --> SignedOut:", diagram))
    assert signed_out == states - {"SignedOut"}, "another process can sign out at any time"
    rules = re.findall(r"^(\d+)\. \*\*", section(PAGE, "Rules"), re.MULTILINE)
    assert rules == [str(number + 1) for number in range(len(rules))]
    told = re.sub(r"\((?:RFC|https)[^)]*\)", "", text(PAGE))
    assert set(re.findall(r"\((\d+)\)", told)) <= set(rules)


def test_the_table_has_every_answer_that_the_document_has() -> None:
    (rows,) = tables(section(PAGE, "Every answer of `/auth/refresh`"))
    told = {status for row in rows for status in row[0].split(", ") if status.isdecimal()}
    operation = document()["paths"]["/auth/refresh"]["post"]
    assert told == set(operation["responses"])
    codes = {one for row in rows for one in code(row[1])}
    assert codes <= set(code(text("docs/integrating.md")))


@pytest.fixture
def folder(tmp_path: Path, auth_double: Double) -> Path:
    """Where `session.sh` of the page lies, for an account of its own."""
    script = named(PAGE, "run: session.sh").text.replace("https://auth.example.com", auth_double.url)
    ran(PAGE, "run: session.sh")
    email = f"{uuid4().hex}@example.com"
    httpx2.post(f"{auth_double.url}/auth/register", json={"email": email, "password": PASSWORD}).raise_for_status()
    (tmp_path / "session.sh").write_text(script)
    (tmp_path / "email").write_text(email)
    return tmp_path


def run(folder: Path, words: str, kill_after: float = 60) -> tuple[int, str]:
    """Run words of the script in a process, and return how it ended and what it printed."""
    bash = subprocess.Popen(
        ["bash", "-c", f". ./session.sh; {words}"], cwd=folder, stdout=subprocess.PIPE, text=True, process_group=0
    )
    try:
        printed, _ = bash.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        bash.kill()
        printed, _ = bash.communicate()
    return bash.returncode, printed.strip()


@needs("curl", "jq", "flock")
@runs(PAGE, "run: session.sh")
def test_processes_of_the_shell_client_are_never_signed_out_until_one_signs_out(
    folder: Path, auth_double: Double
) -> None:
    chance, now = random.Random(1), 0.0
    assert run(folder, f'sign_in "$(cat email)" "{PASSWORD}"') == (0, "")
    with ThreadPoolExecutor(PROCESSES) as threads:

        def all_ask(doomed: float = 60) -> list[tuple[int, str]]:
            limits = [doomed] + [60] * (PROCESSES - 1)
            return list(threads.map(lambda limit: run(folder, "access_token", limit), limits))

        for _ in range(ROUNDS):
            auth_double.switch_faults(SLEPT, *FAULTS)
            now += 1800
            auth_double.set_clock(now)
            with FileStore(folder / "session.json").open() as saved:  # the two understand each other's file
                saved["issued_at"] -= 1800
            ends = all_ask(chance.uniform(0.02, 0.3))
            assert {end for end, _ in ends} <= {0, LATER, KILLED}, ends
            assert [end for end, _ in ends].count(0) > 0
        auth_double.switch_faults()
        ends = all_ask()
        assert {end for end, _ in ends} == {0}
        (token,) = {token for _, token in ends}
        assert run(folder, f"access_token {token}")[1] not in {"", token}
        auth_double.switch_faults({"route": "POST /auth/logout", "fault": "lose-request"})
        assert run(folder, "sign_out") == (0, ""), "a lost one is repeated"
        assert {end for end, _ in all_ask()} == {AGAIN}


@needs("curl", "jq", "flock")
def test_a_sign_out_of_the_shell_client_takes_no_longer_than_one_answer(folder: Path) -> None:
    (folder / "session.json").write_text(WRONG.replace('"x"', "300"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert run(folder, f"url=http://127.0.0.1:{silent.getsockname()[1]}; sign_out") == (LATER, "")
    assert 4 < time.monotonic() - began < 7


@needs("curl", "jq", "flock")
def test_the_shell_client_forgets_a_session_that_has_ended(folder: Path, auth_double: Double) -> None:
    assert run(folder, f'sign_in "$(cat email)" "{PASSWORD}"') == (0, "")
    auth_double.set_clock(15 * 86_400)
    assert run(folder, 'access_token "$(access_token)"') == (AGAIN, "")
    assert (folder / "session.json").read_text() == "{}\n"


WRONG = '{"access_token":"a","refresh_token":"r","session_id":"s","expires_in":"x","issued_at":0,"ahead":0}'
DAMAGED = ("", " ", "{", "[1]", '"x"', "null", "{}{}", '{"refresh_token": "x"}', "\0\0", WRONG)


@needs("curl", "jq", "flock")
def test_a_damaged_file_is_no_session_for_the_shell_client(folder: Path) -> None:
    for content in DAMAGED:
        (folder / "session.json").write_text(content)
        assert run(folder, "access_token") == (AGAIN, ""), content
    (folder / "session.json").write_text("{")
    ended = run(folder, f'sign_in "$(cat email)" "{PASSWORD}" && access_token > /dev/null && sign_out')
    assert ended == (0, "")


@needs("curl", "jq", "flock")
def test_the_shell_client_shares_its_session_by_links_and_from_any_folder(folder: Path) -> None:
    (folder / "own").mkdir()
    (folder / "session.json").symlink_to("link.json")
    (folder / "link.json").symlink_to("own/real.json")
    assert run(folder, f'sign_in "$(cat email)" "{PASSWORD}" && cd own && access_token > /dev/null') == (0, "")
    assert run(folder, 'access_token "$(file=own/real.json access_token)" > /dev/null') == (0, "")
    assert sorted(path.name for path in (folder / "own").iterdir()) == ["real.json", "real.json.lock"]
    assert (folder / "session.json").is_symlink()


@needs("curl", "jq", "flock")
def test_the_shell_client_refuses_what_is_no_file_and_leaves_it(folder: Path) -> None:
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    for no_file in ("folder", "pipe"):
        for words in ("access_token", "sign_out", "change ."):
            assert run(folder, f"file={no_file}; {words} 2>&1", 10) == (LATER, f"{no_file} is no file")
    assert not list(folder.glob("*.lock"))


@needs("curl", "jq", "flock")
@pytest.mark.parametrize(
    ("told", "came"),
    [
        ("7", (0, "7")),
        ("08", (0, "8")),
        ("9" * 30, (LATER, "")),
        ("Wed, 21 Oct 2099 07:28:05 GMT", (0, "5")),
        *((none, (0, "1")) for none in ("0", "Wed, 21 Oct 1999 07:28:05 GMT", "soon", "-1", "")),
    ],
)
def test_the_shell_client_waits_as_it_is_told(folder: Path, told: str, came: tuple[int, str]) -> None:
    """The pause after the second attempt; the first one without an answer has none."""
    kept = '{"access_token":"a","refresh_token":"r","session_id":"s","expires_in":1,"issued_at":0,"ahead":0}'
    (folder / "session.json").write_text(kept)
    words = """
        ask() { status=503 date='Wed, 21 Oct 2099 07:28:00 GMT' said= wait=$TOLD; ((++asked)); }
        sleep() { ((asked == 0 || (asked == 1 && $1 == 0))) || { echo "$1"; exit; }; }
        access_token
    """
    assert run(folder, f"exec 2>&1; TOLD='{told}'; {words}") == came


@needs("curl", "jq", "flock")
def test_what_is_no_token_is_kept_by_no_shell_client(folder: Path) -> None:
    kept = '{"access_token":"a","refresh_token":"r","session_id":"s","expires_in":1,"issued_at":0,"ahead":0}'
    for life, date, ended in (("0", "", 75), ("-1", "", 75), ('"x"', "", 75), ("null", "", 75), ("300", "soon", 0)):
        (folder / "session.json").write_text(kept)
        said = kept.replace('"a"', '"new"').replace('"expires_in":1', f'"expires_in":{life}')
        words = f"ask() {{ status=200 date='{date}' said='{said}' wait= asked_at=$(date +%s); }}; sleep() {{ "
        words += '[ "$1" = 0 ] || SECONDS=60; }; exec 2>&1; access_token'
        assert run(folder, words) == (ended, "" if ended else "new"), life


SECRET = "art_SECRET"
GOOD = {"access_token": "new", "refresh_token": SECRET, "session_id": "2", "expires_in": 300}
NO_TOKENS = {
    f"{name} {value!r}": json.dumps({**GOOD, name: value})
    for name in ("access_token", "refresh_token", "session_id")
    for value in (3, True, None, "", "a\r\nX: y", "a\n", "a b", "tökn", ["a"])
} | {
    "expires_in 1e18": json.dumps({**GOOD, "expires_in": 1e18}),
    "expires_in true": json.dumps({**GOOD, "expires_in": True}),
    "twice": json.dumps(GOOD) * 2,
    "cut off": json.dumps(GOOD)[:-1],
    "trailing": json.dumps(GOOD) + "x",
    "a list": json.dumps([GOOD]),
    "nested": "[" * 20_000,
    "empty": "",
    "a page": f"<h1>{SECRET}</h1>",
}


@needs("curl", "jq", "flock")
def test_what_is_no_token_ends_no_session_of_the_shell_client_and_is_shown_by_no_error(folder: Path) -> None:
    kept = WRONG.replace('"x"', "1")
    words = """
        ask() { status=200 date= wait= asked_at=$(date +%s) said=$(cat said); }
        sleep() { [ "$1" = 0 ] || SECONDS=60; }
        exec 2>&1
        sign_in ada@example.com x; echo $?; access_token; echo $?
    """
    for name, said in NO_TOKENS.items():
        (folder / "session.json").write_text(kept)
        (folder / "said").write_text(said)
        assert run(folder, words) == (0, "the service did not answer\n75\n75"), name
        left = json.loads((folder / "session.json").read_text())
        assert (left["refresh_token"], left["access_token"]) == ("r", "a"), name


@needs("curl", "jq", "flock")
@pytest.mark.parametrize(
    ("status", "said", "came"),
    [
        (401, '{"detail":"It is wrong."}', (1, "It is wrong.")),
        *((401, said, None) for said in ("", "{}", '{"detail":3}', '{"detail":"a"}{"detail":"b"}', "<h1>", "[1]")),
        *((status, '{"detail":"Later."}', None) for status in (503, 500, 302, 200)),
        ("000", "", None),
    ],
)
def test_a_sign_in_of_the_shell_client_says_what_the_service_said_or_that_it_did_not_answer(
    folder: Path, status: int | str, said: str, came: tuple[int, str] | None
) -> None:
    words = f"ask() {{ status={status} date= wait= asked_at=1 said='{said}'; }}; exec 2>&1; sign_in a b"
    assert run(folder, words) == (came or (LATER, "the service did not answer"))


@needs("curl", "jq", "flock")
def test_the_shell_client_writes_through_no_link_that_is_left_and_takes_any_name(folder: Path) -> None:
    victims = [folder / "draft", folder / "lock"]
    for victim in victims:
        victim.write_text("mine")
    (folder / "-s.json.new").symlink_to("draft")
    (folder / "-s.json.lock").symlink_to("lock")
    words = f'file=-s.json; exec 2>&1; sign_in "$(cat email)" "{PASSWORD}" && access_token > /dev/null'
    assert run(folder, words) == (0, "")
    assert [victim.read_text() for victim in victims] == ["mine", "mine"]
    assert "art_" in (folder / "-s.json").read_text()
    assert not (folder / "-s.json").is_symlink()


@needs("curl", "jq", "flock")
@runs(PAGE, "run: use of session.sh")
def test_the_shell_client_is_used_as_the_page_says(folder: Path) -> None:
    email = (folder / "email").read_text()
    own = {"ada@example.com": email, "correct horse battery staple": PASSWORD}
    assert f'"email":"{email}"' in Shell(folder).follow(PAGE, "run: use of session.sh", replaced=own)
    assert (folder / "session.json").stat().st_mode & 0o777 == 0o600
    assert run(folder, f'sign_in "{email}" "a wrong guess, and long" 2>&1') == (
        1,
        "The account or the password is wrong.",
    )
