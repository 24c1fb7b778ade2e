"""Accounts by the file: what comes in, what is refused and why, and that nothing is lost or done twice."""

import asyncio
import gzip
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


REFUSED: dict[str, tuple[bytes, str, str]] = {
    # the line, and the reason and a word of the sentence of its only fault
    "no JSON": (b"{", "invalid-line", "JSON"),
    "no object": (b"[]", "invalid-line", "object"),
    "deeply nested": (b"[" * 16_000, "invalid-line", "JSON"),
    "Latin-1": (b'{"email": "\xff@example.com"}', "not-utf-8", "ISO 8859-1"),
    "too long a line": (b'{"email": "' + b"x" * 20_000 + b'@example.com"}', "too-long", "longer"),
    "twice": (b'{"email": "a@example.com", "email": "b@example.com"}', "repeated", "repeated"),
    "a password in plain text": (b'{"email": "a@example.com", "password": "secret-word"}', "unknown-field", "Only"),
    "a value for a name": (b'{"email": "a@example.com", "secret word": 1}', "unknown-field", "Only these"),
    "no address": (b'{"username": "secret-word"}', "required", "Required"),
    "a bad address": (b'{"email": "secret-word"}', "invalid-email", "e-mail address"),
    "too long an address": (b'{"email": "' + b"x" * 400 + b'@example.com"}', "too-long", "254"),
    "an address of an IP address": (b'{"email": "a@127.0.0.1"}', "invalid-email", "IP address"),
    "an invisible character": ('{"email": "a\u200b@example.com"}'.encode(), "invalid-character", "invisible"),
    "a NUL": (b'{"email": "a\\u0000@example.com"}', "invalid-character", "control characters"),
    "half a character": (
        b'{"email": "a@example.com", "username": "\\ud800"}', "invalid-character", "lone surrogates",
    ),
    "a number": (b'{"email": 5}', "wrong-type", "text"),
    "a look-alike": ('{"email": "\uff41@example.com"}'.encode(), "look-alike", "full-width"),
    "a bad name": (b'{"email": "a@example.com", "username": "secret word"}', "invalid-username", "1 to 64"),
    "a bad role": (b'{"email": "a@example.com", "role": "Secret Word"}', "invalid-format", "1 to 64"),
    "a bad flag": (b'{"email": "a@example.com", "is_active": "secret-word"}', "unknown-value", "true or false"),
    "a bad time": (b'{"email": "a@example.com", "created_at": "secret-word"}', "invalid-format", "ISO 8601"),
    "a time to come": (b'{"email": "a@example.com", "created_at": "9998-01-01T00:00:00Z"}', "not-allowed", "future"),
    "an unknown hash": (
        b'{"email": "a@example.com", "hashed_password": "md5:secret-word"}', "unusable-hash", "not supported",
    ),
    "too long a hash": (
        b'{"email": "a@example.com", "hashed_password": "$2b$' + b"x" * 600 + b'"}', "unusable-hash", "512",
    ),
    "a hash without its setting": (
        b'{"email": "a@example.com", "hashed_password": "$firebase-scrypt$ln=14,r=8$c2FsdA==$aGFzaA=="}',
        "missing-setting", "AUTH_PASSWORD__FIREBASE_SIGNER_KEY",
    ),
    "a name that is taken": (b'{"email": "a@example.com", "username": "user0"}', "taken", "another account"),
    "another role": (b'{"email": "user0@example.com", "username": "user0", "role": "admin"}', "different", "address"),
}  # fmt: skip


def refused(rejects: Path) -> list[tuple[int, list[dict[str, Any]]]]:
    return [(row["line"], row["errors"]) for row in map(json.loads, rejects.read_text("utf-8").splitlines())]


def test_a_line_that_cannot_be_taken_costs_only_itself_and_is_told_by_number_and_reason(embedded: Operator) -> None:
    between = [people(number).encode() + raw + b"\n" for number, (raw, *_) in enumerate(REFUSED.values())]
    file, rejects = embedded.write("in.jsonl", b"".join(between)), embedded.folder / "rejects.jsonl"
    found = report(embedded, file, "--rejects", str(rejects), "--batch-size", "7", code=1)
    assert (found["imported"], found["already_there"], found["refused"]) == (len(REFUSED), 0, len(REFUSED))
    told = refused(rejects)
    assert [line for line, _ in told] == [2 * number + 2 for number in range(len(REFUSED))]
    for (name, (_, reason, word)), (_, faults) in zip(REFUSED.items(), told, strict=True):
        assert [fault["reason"] for fault in faults] == [reason], (name, faults)
        assert word in faults[0]["detail"], (name, faults)
        assert "secret" not in json.dumps(faults).lower()
    assert embedded.run("users", "import", file, code=1).stderr.count("\nline ") == 19, "only the first on a terminal"


def test_all_that_is_wrong_with_a_line_is_told_at_once(embedded: Operator) -> None:
    report(embedded, embedded.write("in.jsonl", lines({"id": SOME_ID, "email": "a@x.com", "username": "ada"})))
    wrong = {
        "id": 7, "email": "a@127.0.0.1", "username": "two words", "role": "No Role", "is_active": "perhaps",
        "is_verified": [], "created_at": "yesterday", "hashed_password": "md5", "phone": "5", "name of no field": 1,
    }  # fmt: skip
    fields = ["phone", None, "id", "email", "username", "hashed_password", "role", "is_active", "is_verified",
              "created_at"]  # fmt: skip
    taken = {"id": SOME_ID, "email": "b@x.com", "username": "Ada"}
    different = {"id": OTHER_ID, "email": "a@x.com", "username": "grace", "role": "admin", "is_active": False}
    files = {
        ("jsonl", lines(wrong)): [fields],
        ("jsonl", '{"role": "x", "email": 5, "email": 5, "role": "Y Z"}'): [["role", "email", "email", "role"]],
        ("csv", "email,username,role\n'a@x.com,'ada,No Role\n"): [["email", "username", "role"]],
        ("csv", "email,username\n,two words\n"): [["email", "username"]],
        ("jsonl", lines(taken)): [["id", "username"]],
        ("jsonl", lines(different)): [["username", "id", "role", "is_active"]],
        ("jsonl", json.dumps({f"a{number}": 1 for number in range(99)})): [[f"a{number}" for number in range(20)]],
    }
    for dry in ([], ["--dry-run"]):
        for number, ((layout, text), expected) in enumerate(files.items()):
            rejects = embedded.folder / f"{len(dry)}{number}.jsonl"
            words = ("-", "--format", layout, "--rejects", str(rejects), *dry)
            report(embedded, *words, given=text, code=1)
            told = refused(rejects)
            assert [[fault["field"] for fault in faults] for _, faults in told] == expected, text
    shown = embedded.run("users", "import", "-", "--format", "jsonl", given=lines(wrong), code=1).stderr
    assert shown.count("line 1: ") == len(fields)
    for option, name in (("--bad-username", "drop"), ("--unknown-hash", "reset")):
        shown = embedded.run(
            "users", "import", "-", "--format", "jsonl", option, name, given=lines(wrong), code=1
        ).stderr
        assert shown.count("line 1: ") == len(fields) - 1


SOME_ID, OTHER_ID = "018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"
TEXT = "email,username\nada@example.com,ad\u00e4\n"
OTHER_FILES: dict[str, tuple[str, bytes, str]] = {
    "UTF-16 with its mark": ("csv", TEXT.encode("utf-16"), "The file is UTF-16, and"),
    "UTF-16, big-endian, with its mark": ("csv", b"\xfe\xff" + TEXT.encode("utf-16-be"), "The file is UTF-16, and"),
    "UTF-16 without": ("csv", TEXT.encode("utf-16-le"), "The file is UTF-16LE, and"),
    "UTF-16, big-endian": ("csv", TEXT.encode("utf-16-be"), "The file is UTF-16BE, and"),
    "UTF-32": ("csv", TEXT.encode("utf-32"), "The file is UTF-32, and"),
    "JSON lines in UTF-16": ("jsonl", '{"email": "a@example.com"}\n'.encode("utf-16"), "The file is UTF-16, and"),
    "JSON lines in UTF-16 without a mark": ("jsonl", '{"email": "a@x.com"}\n'.encode("utf-16-le"), "is UTF-16LE"),
    "Latin-1 in the header": ("csv", "email,n\u00e4me\n".encode("latin-1"), "The first line is not UTF-8"),
    "gzip": ("jsonl", gzip.compress(people(1).encode()), "compressed by gzip"),
    "a spreadsheet": ("csv", b"PK\x03\x04\x14\0", "a spreadsheet or a ZIP archive"),
    "semicolons": ("csv", TEXT.replace(",", ";").encode(), "separated by semicolons"),
    "tabs": ("csv", TEXT.replace(",", "\t").encode(), "separated by tabs"),
    "lines of old Macs": ("csv", TEXT.replace("\n", "\r").encode(), "carriage return alone"),
    "JSON lines as CSV": ("csv", people(1).encode(), "--format jsonl"),
    "no header": ("csv", b"ada@example.com,ada\n", "Column 1 of the first line"),
    "a header in quotes that do not end": ("csv", b'"email,username\n', "not CSV"),
    "one document": ("jsonl", b'[{"email": "ada@example.com"}]', "one JSON document"),
}


def test_a_file_that_is_something_else_is_called_by_its_name(embedded: Operator) -> None:
    for kind, (layout, content, word) in OTHER_FILES.items():
        done = embedded.run("users", "import", "-", "--format", layout, given=content, code=1)
        assert done.stderr.splitlines()[-1].startswith("Error: "), kind
        assert word in done.stderr, (kind, done.stderr)
    assert exported(embedded) == []


def test_a_byte_order_mark_and_letters_that_are_joined_are_taken_and_latin_1_is_told_by_the_line(
    embedded: Operator,
) -> None:
    persian = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    text = f"email,username\nada@example.com,{persian}\n".encode("utf-8-sig") + "x@example.com,\u00e4\n".encode(
        "latin-1"
    )
    done = embedded.run("users", "import", "-", "--format", "csv", given=text, code=1)
    assert [line for line in done.stderr.splitlines() if line.startswith("line 3: The line is not UTF-8")]
    assert [row["username"] for row in exported(embedded)] == [persian]
    again = embedded.write("in.jsonl", b"\xef\xbb\xbf" + people(1).encode())
    assert report(embedded, again)["imported"] == 1


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
        assert told[0].startswith("line 1: role: An account or an earlier line with this address has another one.")
        assert told[1].startswith("line 2: username: Used by another account")
        assert told[2].startswith("line 3: hashed_password: An account")
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
