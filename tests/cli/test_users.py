"""`auth-service users` for one account at a time: the first administrator needs no SQL."""

import asyncio
import json
import os
import pty
import subprocess
from typing import Any

import pytest

from tests.conftest import environment
from tests.support.client import PASSWORD, Client
from tests.support.operator import Operator, users
from tests.support.server import Server

ADA = "ada@example.com"
NOBODY_ANSWERS = "Error: This asks for a confirmation, and nobody is there to answer: use --yes.\n"
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


async def shown(operator: Operator, account: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await users(operator, "show", account, "--json"))
    return found


@on_a_lasting_database
async def test_the_first_administrator_is_made_signs_in_and_cannot_be_taken_away(
    client: Client, operator: Operator
) -> None:
    made = await users(
        operator, "create", ADA, "--username", "Ada", "--role", "admin", "--verified", "--password-stdin",
        given=PASSWORD + "\n",
    )  # fmt: skip
    user_id = made.removeprefix("created: ").strip()
    tokens = await client.sign_in(ADA)
    for name in (ADA.upper(), "ada", user_id):
        found = await shown(operator, name)
        assert (found["id"], found["role"], found["is_verified"]) == (user_id, "admin", True)
        assert [session["id"] for session in found["sessions"]] == [tokens["session_id"]]
        assert "hashed_password" not in found
    for words in (("set-role", ADA, "user"), ("disable", "ada"), ("delete", user_id, "--yes")):
        assert "last administrator" in await users(operator, *words, code=1)
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


@on_a_lasting_database
async def test_whoever_gets_another_role_signs_in_again_and_whoever_is_deleted_never(
    ada: Client, operator: Operator
) -> None:
    await users(operator, "create", "root@example.com", "--role", "admin", "--no-password")
    tokens = await ada.sign_in()
    assert await users(operator, "set-role", "ada", "admin") == "role: admin\n"
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
    assert (await ada.login()).status_code == 200
    assert await users(operator, "disable", "ADA") == "disabled; sessions ended: 1\n"
    assert (await ada.login()).status_code == 401
    assert await users(operator, "enable", ADA) == "enabled\n"
    assert await users(operator, "delete", ADA, "--yes") == "deleted\n"
    assert (await ada.login()).status_code == 401
    assert "no such user" in await users(operator, "show", ADA, code=1)
    done = await asyncio.to_thread(operator.run, "audit", "--json")
    trail = [json.loads(line) for line in done.stdout.splitlines()]
    by_hand = [row["event"] for row in reversed(trail) if row["details"].get("actor", "").startswith("cli:")]
    assert [event for event in by_hand if event.startswith("account.")] == [
        "account.registered", "account.role_changed", "account.disabled", "account.enabled", "account.deleted",
    ]  # fmt: skip


def test_a_list_is_filtered_and_limited_and_one_json_object_a_line(embedded: Operator) -> None:
    accounts = [
        {"email": f"user{number}@example.com", "role": "admin" if number == 3 else "user", "is_active": number != 2}
        for number in range(5)
    ]
    embedded.run("users", "import", "-", "--format", "jsonl", given="\n".join(map(json.dumps, accounts)))

    def listed(*words: str) -> list[str]:
        printed = embedded.run("users", "list", *words, "--json").stdout
        return sorted(json.loads(line)["email"][4] for line in printed.splitlines())

    assert listed() == ["0", "1", "2", "3", "4"]
    assert listed("--role", "admin") == ["3"]
    assert listed("--state", "disabled") == ["2"]
    assert listed("--state", "verified") == []
    assert listed("--search", "USER4@") == ["4"]
    assert len(listed("--limit", "2")) == 2
    assert embedded.run("users", "list", "--search", "user3").stdout.split("  ")[1:6] == [
        "user3@example.com", "-", "admin", "true", "false",
    ]  # fmt: skip


def test_what_cannot_be_created_or_is_asked_for_wrongly_is_refused_with_its_exit_code(embedded: Operator) -> None:
    def refused(*words: str, code: int, given: str = "") -> str:
        return embedded.run("users", *words, code=code, given=given).stderr

    create = ("create", ADA, "--password-stdin")
    assert "at least 15 characters" in refused(*create, code=1, given="too-short\n")
    assert "Choose another" in refused(*create, code=1, given="passwordpassword\n")
    assert "e-mail address" in refused("create", "nobody", "--no-password", code=1)
    assert "No terminal" in refused("create", ADA, code=2)
    assert "together" in refused(*create, "--no-password", code=2)
    assert "'king' is not one of" in refused("create", ADA, "--no-password", "--role", "king", code=2)
    embedded.run("users", "create", ADA, "--no-password")
    assert "already registered" in refused("create", "Ada@EXAMPLE.com", "--no-password", code=1)
    assert "Aborted" in refused("delete", ADA, code=1, given="n\n")
    for given in ("", "perhaps\n"):
        assert refused("delete", ADA, code=2, given=given).endswith(NOBODY_ANSWERS)
        assert refused("end-sessions", "--all", code=2, given=given).endswith(NOBODY_ANSWERS)
    assert json.loads(embedded.run("users", "show", ADA, "--json").stdout)["sessions"] == []
    assert "--format" in refused("import", "-", code=2)
    assert "does not exist" in refused("import", "nowhere.csv", code=2)


def test_a_password_is_asked_for_twice_and_never_shown(embedded: Operator) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*Server.program, "users", "create", ADA], env={"PATH": os.environ["PATH"], **environment(embedded.url)},
        cwd=embedded.folder, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    screen = _answer(ours, b"Password: ") + _answer(ours, b"confirmation: ")
    printed = process.communicate(timeout=60)[0]
    screen += _rest(ours)
    os.close(ours)
    assert (process.returncode, printed[:9]) == (0, b"created: "), screen
    assert PASSWORD.encode() not in screen


def _answer(terminal: int, question: bytes) -> bytes:
    """Wait for a question, then type the password; return what was on the screen until then."""
    screen = b""
    while question not in screen:
        screen += os.read(terminal, 1000)
    os.write(terminal, PASSWORD.encode() + b"\n")
    return screen


def _rest(terminal: int) -> bytes:
    screen = b""
    try:
        while part := os.read(terminal, 1000):
            screen += part
    except OSError:  # nobody is at the other end any more
        pass
    return screen
