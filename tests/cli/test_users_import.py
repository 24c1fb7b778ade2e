"""Accounts by the file: what comes in, what is refused and why, and that nothing is lost or done twice."""

import asyncio
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_service.errors import InvalidInput
from auth_service.identifiers import canonical_email
from auth_service.services.transfer.rows import quick_canonical_email
from tests.conftest import environment
from tests.support.accounts_files import HASH, exported, lines, people, report
from tests.support.client import PASSWORD, Client
from tests.support.operator import Operator
from tests.support.polling import eventually
from tests.support.server import Server
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


@pytest.fixture
def operator(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Operator:
    found = Operator(database_url, tmp_path)
    if database_url.startswith("sqlite") and "client" not in request.fixturenames:  # the service does it by itself
        found.run("migrate")
    return found


async def emails(url: str) -> set[str]:
    return {email for (email,) in await run_sql(url, "SELECT email FROM users")}


@on_a_lasting_database
async def test_imported_users_sign_in_with_their_old_password_and_get_a_new_hash(
    client: Client, operator: Operator, database_url: str
) -> None:
    file = operator.write("a.jsonl", lines({"email": "Ada@Example.com", "username": "ada", "hashed_password": HASH}))
    await asyncio.to_thread(operator.run, "users", "import", file)
    before = json.loads((await asyncio.to_thread(operator.run, "users", "hashes", "--json")).stdout)
    assert [(kind["state"], kind["accounts"], kind["signed_in"]) for kind in before["kinds"]] == [("outdated", 1, 0)]
    assert before["kinds"][0]["recipe"].startswith("bcrypt")
    assert (await client.login("ada@example.com", PASSWORD)).status_code == 200
    after = json.loads((await asyncio.to_thread(operator.run, "users", "hashes", "--json")).stdout)
    assert [(kind["state"], kind["accounts"], kind["signed_in"]) for kind in after["kinds"]] == [("current", 1, 1)]
    assert (after["forecast"]["outdated"], after["forecast"]["renewed"]) == (0, 1)
    # The same file again: the password has been its owner's own since.
    again = await asyncio.to_thread(report, operator, file)
    assert (again["imported"], again["already_there"], again["refused"]) == (0, 1, 0)
    assert [row["event"] for row in await asyncio.to_thread(audit, operator, "password.rehashed")] == [
        "password.rehashed"
    ]


def audit(operator: Operator, event: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator.run("audit", "--event", event, "--json").stdout.splitlines()]


@on_a_lasting_database
def test_what_is_exported_comes_in_again_as_it_was(operator: Operator, tmp_path: Path) -> None:
    there = lines(
        {
            "email": "Grace@Exämple.com", "username": "Grace", "role": "admin", "is_active": False, "is_verified": True,
            "created_at": "2019-05-04T03:02:01.000009Z", "hashed_password": HASH,
        },
        {"email": "linus@example.com"},
    )  # fmt: skip
    operator.run("users", "import", operator.write("in.jsonl", there))
    carried = exported(operator, "--with-hashes")
    assert carried[0] == json.loads(there.splitlines()[0])
    for layout in ("jsonl", "csv"):
        (tmp_path / layout).mkdir()
        other = Operator(f"sqlite+aiosqlite:///{tmp_path}/{layout}/auth.db", tmp_path)
        other.run("migrate")
        file = str(tmp_path / f"out.{layout}")
        operator.run("users", "export", "--with-hashes", "--output", file)
        assert report(other, file)["imported"] == 2
        assert exported(other, "--with-hashes") == carried


def test_an_export_with_hashes_is_asked_for_noted_and_for_nobody_else_to_read(embedded: Operator) -> None:
    account = {"email": "ada@example.com", "hashed_password": HASH}
    embedded.run("users", "import", "-", "--format", "jsonl", given=lines(account))
    output = Path(embedded.write("out.csv", "what was there"))
    output.chmod(0o644)
    embedded.run("users", "export", "--output", str(output))
    assert "hashed_password" not in output.read_text("utf-8")
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    embedded.run("users", "export", "--with-hashes")
    told = [row["details"]["with_hashes"] for row in audit(embedded, "accounts.exported")]
    assert told == ["true", "false"]


def test_an_address_that_is_a_formula_is_text_in_csv_and_comes_in_again_as_it_was(
    embedded: Operator, tmp_path: Path
) -> None:
    names = ["=cmd|'/C'!A0", "+1", "-1", "'=1", "''", "'x"]
    file = embedded.write("in.jsonl", lines(*({"email": f"{name}@example.com"} for name in names)))
    embedded.run("users", "import", file)
    embedded.run("users", "export", "--output", str(tmp_path / "out.csv"))
    cells = [line.partition(",")[0] for line in (tmp_path / "out.csv").read_text("utf-8").splitlines()[1:]]
    assert [cell for cell in cells if not cell.startswith("'")] == []
    assert report(embedded, str(tmp_path / "out.csv"))["already_there"] == len(names)


def test_a_file_that_cannot_be_written_is_one_line_and_costs_nothing(embedded: Operator) -> None:
    file, nowhere = embedded.write("in.jsonl", people(1) + "{\n"), str(embedded.folder / "nowhere" / "out.jsonl")
    for words in (("export", "--output", nowhere), ("import", file, "--rejects", nowhere)):
        done = embedded.run("users", *words, code=1)
        assert done.stderr.splitlines()[-1].startswith("Error: "), words
        assert "nowhere" in done.stderr
    assert "--rejects" in embedded.run("users", "import", file, "--rejects", file, code=2).stderr, "the file itself"
    assert Path(file).read_text("utf-8") == people(1) + "{\n"
    assert exported(embedded) == [], "it is known before the first batch"


def test_rejects_are_a_new_file_also_if_there_are_none_and_overwrite_nothing(embedded: Operator) -> None:
    file, rejects = embedded.write("in.jsonl", people(1)), embedded.folder / "rejects.jsonl"
    embedded.run("users", "import", file, "--rejects", str(rejects))
    assert not rejects.read_text("utf-8")
    for held in ("", "what another import refused"):
        rejects.write_text(held)
        for words in ((), ("--dry-run",)):
            done = embedded.run("users", "import", file, "--rejects", str(rejects), *words, code=2)
            assert "overwrites nothing" in done.stderr
            assert rejects.read_text("utf-8") == held
    embedded.run("users", "import", file, "--rejects", "/dev/null")


REFUSED: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "JSON"),
    "no object": (b"[]", "object"),
    "deeply nested": (b"[" * 16_000, "JSON"),
    "bad UTF-8": (b'{"email": "\xff@example.com"}', "UTF-8"),
    "too long a line": (b'{"email": "' + b"x" * 20_000 + b'@example.com"}', "longer"),
    "twice": (b'{"email": "a@example.com", "email": "b@example.com"}', "repeated"),
    "a password in plain text": (b'{"email": "a@example.com", "password": "secret-word"}', "Only these"),
    "a value for a name": (b'{"email": "a@example.com", "secret word": 1}', "Only these"),
    "no address": (b'{"username": "secret-word"}', "Required"),
    "a bad address": (b'{"email": "secret-word"}', "e-mail address"),
    "too long an address": (b'{"email": "' + b"x" * 400 + b'@example.com"}', "Too long"),
    "a NUL": (b'{"email": "a\\u0000@example.com"}', "control characters"),
    "half a character": (b'{"email": "a@example.com", "username": "\\ud800"}', "lone surrogates"),
    "a number": (b'{"email": 5}', "text"),
    "a look-alike": ('{"email": "\uff41@example.com"}'.encode(), "looks like"),
    "a bad name": (b'{"email": "a@example.com", "username": "secret word"}', "1 to 64"),
    "a bad role": (b'{"email": "a@example.com", "role": "Secret Word"}', "1 to 64"),
    "a bad flag": (b'{"email": "a@example.com", "is_active": "secret-word"}', "true or false"),
    "a bad time": (b'{"email": "a@example.com", "created_at": "secret-word"}', "ISO 8601"),
    "a time to come": (b'{"email": "a@example.com", "created_at": "9998-01-01T00:00:00Z"}', "future"),
    "an unknown hash": (b'{"email": "a@example.com", "hashed_password": "md5:secret-word"}', "not supported"),
    "too long a hash": (b'{"email": "a@example.com", "hashed_password": "$2b$' + b"x" * 600 + b'"}', "512"),
}


def test_a_line_that_cannot_be_taken_costs_only_itself_and_is_told_by_number_and_reason(embedded: Operator) -> None:
    between = [people(number).encode() + raw + b"\n" for number, (raw, _) in enumerate(REFUSED.values())]
    file, rejects = embedded.write("in.jsonl", b"".join(between)), embedded.folder / "rejects.jsonl"
    found = report(embedded, file, "--rejects", str(rejects), "--batch-size", "7", code=1)
    assert (found["imported"], found["already_there"], found["refused"]) == (len(REFUSED), 0, len(REFUSED))
    told = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    assert [row["line"] for row in told] == [2 * number + 2 for number in range(len(REFUSED))]
    for (name, (_, word)), row in zip(REFUSED.items(), told, strict=True):
        assert word in row["reason"], (name, row)
        assert "secret" not in json.dumps(row).lower()
    assert embedded.run("users", "import", file, code=1).stderr.count("\nline ") == 19, "only the first on a terminal"


def test_csv_takes_its_columns_in_any_order_and_each_line_stands_for_itself(embedded: Operator) -> None:
    text = (
        "\ufeffusername,email,is_active\r\nada,ada@example.com,FALSE\r\n,grace@example.com,\r\n\r\n"
        '"x,x@example.com,1\r\nlinus,"linus@example.com",1\r\ntoo,many@example.com,1,1\r\n'
    )
    found = report(embedded, embedded.write("in.csv", text), code=1)
    assert (found["imported"], found["refused"]) == (3, 2)
    accounts = {row["email"]: (row["username"], row["is_active"]) for row in exported(embedded)}
    assert accounts == {
        "ada@example.com": ("ada", False), "grace@example.com": (None, True), "linus@example.com": ("linus", True),
    }  # fmt: skip
    for header in ("username\n", "email,email\n", "email,password\n", ""):
        done = embedded.run("users", "import", "-", "--format", "csv", given=header, code=1)
        assert done.stderr.startswith("Error: "), header


@on_a_lasting_database
def test_the_same_file_again_changes_nothing_and_a_conflict_is_no_repetition(operator: Operator) -> None:
    file = operator.write("in.jsonl", people(1, 2, 3) + people(2))
    assert report(operator, file)["already_there"] == 1
    before = exported(operator)
    other = lines(
        {"email": "USER1@example.com", "role": "admin", "username": "user1"},
        {"email": "somebody@example.com", "username": "User2"},
        {"email": "user3@example.com", "hashed_password": HASH},
        {"email": "user4@example.com"},
    )
    for imported in (1, 0):
        found = report(operator, file, code=0)
        assert (found["imported"], found["already_there"], found["refused"]) == (0, 4, 0)
        done = operator.run("users", "import", operator.write("other.jsonl", other), code=1)
        told = [line for line in done.stderr.splitlines() if line.startswith("line ")]
        assert told[0].startswith("line 1: email: An account")
        assert told[0].endswith("has a different role.")
        assert told[1].startswith("line 2: username: Used by another account")
        assert "a different hashed_password." in told[2]
        assert done.stdout.startswith(f"imported {imported} accounts; {1 - imported} already existed; refused 3")
    assert [row for row in exported(operator) if row["email"] != "user4@example.com"] == before


TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER no_seven BEFORE INSERT ON users WHEN new.username = 'user7' BEGIN SELECT RAISE(ABORT, 'x'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'x'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON users FOR EACH ROW WHEN (new.username = 'user7') EXECUTE FUNCTION no()",
        "ALTER TABLE users ADD CONSTRAINT nobody_eleven CHECK (username IS DISTINCT FROM 'user11')",
    ],
}  # fmt: skip


@on_a_lasting_database
async def test_a_row_that_the_database_refuses_costs_only_itself(operator: Operator, database_url: str) -> None:
    for statement in TRIGGERS[database_url.partition(":")[0].partition("+")[0]]:
        await run_sql(database_url, statement)
    file = operator.write("in.jsonl", people(*range(10)))
    done = await asyncio.to_thread(operator.run, "users", "import", file, code=1)
    assert "line 8: Refused by the database (" in done.stderr
    if database_url.startswith("postgresql"):
        eleven = await asyncio.to_thread(
            operator.run, "users", "import", operator.write("11.jsonl", people(11)), code=1
        )
        assert "line 1: Refused by the database (SQLSTATE 23514, nobody_eleven)." in eleven.stderr
    assert await emails(database_url) == {f"user{number}@example.com" for number in range(10) if number != 7}
    (told,) = await asyncio.to_thread(audit, operator, "accounts.imported")
    assert (told["details"]["accounts"], told["details"]["through_line"]) == (9, 10)


@on_a_lasting_database
async def test_an_import_that_was_killed_is_finished_by_the_same_command(
    operator: Operator, database_url: str, tmp_path: Path
) -> None:
    text = people(*range(9))
    words = ("users", "import", "-", "--format", "jsonl", "--batch-size", "3")
    process = subprocess.Popen(  # noqa: ASYNC220
        [*Server.program, *words], env=environment(database_url), cwd=tmp_path, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdin
        process.stdin.write("".join(text.splitlines(keepends=True)[:8]).encode())  # the third batch waits for a line
        process.stdin.flush()

        async def has_six() -> bool:
            return len(await emails(database_url)) == 6

        await eventually(has_six, seconds=30)
    finally:
        process.kill()
        process.communicate()
    found = await asyncio.to_thread(report, operator, *words[2:], given=text)
    assert (found["imported"], found["already_there"], found["refused"], found["through_line"]) == (3, 6, 0, 9)
    assert await emails(database_url) == {f"user{number}@example.com" for number in range(9)}
    ended = await asyncio.to_thread(audit, operator, "accounts.imported")
    resumed = await asyncio.to_thread(report, operator, *words[2:], "--resume-from", "10", given=text + people(9))
    assert [row["details"]["through_line"] for row in ended] == [9, 6, 3]
    assert (resumed["imported"], resumed["already_there"]) == (1, 0)


LOCAL = st.text("aZ9._+-'\u00e9 ", min_size=1, max_size=70)
DOMAIN = st.text("aZ9.-_\u00e4", min_size=1, max_size=12)


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.builds("{}@{}".format, LOCAL, st.one_of(DOMAIN, DOMAIN.map("{}.com".format))), st.emails()))
def test_an_import_takes_the_addresses_that_registration_takes_in_the_same_form(email: str) -> None:
    try:
        expected = canonical_email(email)
    except InvalidInput:
        with pytest.raises(InvalidInput):
            quick_canonical_email(email)
    else:
        assert quick_canonical_email(email) == expected
