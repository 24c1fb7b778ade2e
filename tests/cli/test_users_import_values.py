"""What stands in files of accounts: how other systems write a value, what each becomes, and why others are refused."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support.accounts_files import HASH, exported, lines, people, report
from tests.support.client import PASSWORD
from tests.support.operator import Operator
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
ID, OTHER_ID = "0b1f6f0c-1c5d-4c55-8d3e-5a6e1f3b9c21", "11111111-2222-4333-8444-555555555555"
MILLISECONDS = "1612011012345"


@pytest.fixture
def operator(database_url: str, tmp_path: Path) -> Operator:
    found = Operator(database_url, tmp_path)
    if database_url.startswith("sqlite"):
        found.run("migrate")
    return found


def said(done: Result) -> str:
    """What a command said on standard error, without its log."""
    return "\n".join(line for line in done.stderr.splitlines() if not line.startswith("{"))


TAKEN: dict[tuple[str, str], tuple[list[Any], list[str]]] = {
    # what a field becomes: as JSON has it, as CSV has it
    ("is_active", "false"): ([False, "false", "False", "f", "F", "0", 0], ["false", "FALSE", "f", "F", "0"]),
    ("is_verified", "true"): ([True, "true", "True", "t", "T", "1", 1], ["true", "TRUE", "t", "T", "1"]),
    ("is_active", "true"): ([None, ""], ["", '""']),
    ("is_verified", "false"): ([None, ""], ["", '""']),
    ("username", "null"): ([None, ""], ["", '""']),
    ("role", '"user"'): ([None, ""], ["", '""']),
    ("hashed_password", "null"): ([None, "", "!", "!x"], ["", '""', "!"]),
    ("created_at", '"2021-01-31T08:00:12Z"'): (
        ["2021-01-31T08:00:12Z", "2021-01-31 08:00:12+00", "2021-01-31T09:00:12+01:00", "20210131T080012Z",
         "2021-01-31 08:00:12"],
        ["2021-01-31T08:00:12Z", "2021-01-31 08:00:12+00"],
    ),
    ("created_at", '"2021-01-31T08:00:12.345000Z"'): (["2021-01-31T08:00:12.345Z"], ["2021-01-31 08:00:12.345+00"]),
    ("created_at", '"2021-01-31T00:00:00Z"'): (["2021-01-31"], ["2021-01-31"]),
    ("id", f'"{ID}"'): ([ID, ID.upper(), ID.replace("-", "")], [ID, ID.upper()]),
}  # fmt: skip


def test_a_value_is_taken_as_any_system_writes_it(embedded: Operator) -> None:
    for (field, becomes), (in_json, in_csv) in TAKEN.items():
        files = [("jsonl", repr(value), lines({"email": "ada@example.com", field: value})) for value in in_json]
        files += [("csv", cell, f"{field},email\n{cell},ada@example.com\n") for cell in in_csv]
        for layout, value, text in files:
            report(embedded, "-", "--format", layout, given=text)
            (found,) = exported(embedded, "--with-ids", "--with-hashes")
            assert found[field] == json.loads(becomes), (layout, field, value)
            embedded.run("users", "delete", "ada@example.com", "--yes")


REFUSED: dict[str, tuple[str, Any, str]] = {
    # the field that is named, its value, and a word of the reason
    "milliseconds": ("created_at", MILLISECONDS, "milliseconds"),
    "seconds": ("created_at", "1612011012", "milliseconds"),
    "seconds with a fraction": ("created_at", "1612011012.345", "milliseconds"),
    "a year alone": ("created_at", "2021", "milliseconds"),
    "a date of digits": ("created_at", "20210131", "milliseconds"),
    "milliseconds as a number": ("created_at", 1612011012345, "milliseconds"),
    "seconds as a number": ("created_at", 1612011012.345, "milliseconds"),
    "a date that is none": ("created_at", "2021-02-30", "ISO 8601"),
    "a date and a letter": ("created_at", "16120110x2345", "ISO 8601"),
    "a flag of words": ("is_active", "secret-word", "true or false"),
    "a flag of another number": ("is_verified", 2, "true or false"),
    "a flag of a list": ("is_verified", [], "true or false"),
    "an id of another system": ("id", "auth0|secret", "UUID"),
    "an id that is a number": ("id", 7, "text"),
    "an id in braces": ("id", f"{{{ID}}}", "UUID"),
    "a name with a space": ("username", "secret word", "letters"),
    "a name that is an address": ("username", "secret@example.com", "letters"),
    "a field that is none": ("phone_number", "secret", "Only these"),
}


def test_a_value_that_is_not_taken_is_refused_with_the_name_of_its_field(embedded: Operator) -> None:
    file = embedded.write(
        "in.jsonl", lines(*({"email": "ada@example.com", field: value} for field, value, _ in REFUSED.values()))
    )
    rejects = embedded.folder / "rejects.jsonl"
    assert report(embedded, file, "--rejects", str(rejects), code=1)["refused"] == len(REFUSED)
    told = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    assert "secret" not in json.dumps(told)
    for (kind, (field, value, word)), row in zip(REFUSED.items(), told, strict=True):
        (fault,) = row["errors"]
        assert fault["field"] == field, kind
        assert word in fault["detail"], kind
        if field != "phone_number" and isinstance(value, str):
            csv = f'email,{field}\nada@example.com,"{value}"\n'
            done = embedded.run("users", "import", "-", "--format", "csv", given=csv, code=1)
            assert said(done).startswith(f"line 2: {field}: "), kind


def test_the_apostrophes_of_an_export_of_auth0_are_refused_and_not_imported(embedded: Operator) -> None:
    for row, field in {
        "'ada@example.com,ada": "email", "ada@example.com,'ada": "username", "\"'ada@example.com\",\"'ada\"": "email",
    }.items():  # fmt: skip
        done = embedded.run("users", "import", "-", "--format", "csv", given=f"email,username\n{row}\n", code=1)
        assert said(done).startswith(f"line 2: {field}: Begins with an apostrophe")
        assert "Auth0" in done.stderr
    assert exported(embedded) == []
    report(embedded, "-", "--format", "jsonl", given=lines({"email": "'ada@example.com"}))
    assert [row["email"] for row in exported(embedded)] == ["'ada@example.com"], "in JSON it is part of the address"


DOCUMENTS = {
    "an array, indented": ('[\n  {\n    "email": "ada@example.com"\n  }\n]\n', "jq -c '.[]"),
    "an array on one line": ('[{"email":"ada@example.com"}]', "jq -c '.[]"),
    "an array, an object to a line": ('[{"email":"ada@example.com"},\n{"email":"x@example.com"}]\n', "jq -c '.[]"),
    "an array longer than a line may be": ("[" + '{"email":"ada@example.com"},' * 1000 + "1]", "jq -c '.[]"),
    "an object, indented": ('{\n  "users": [\n    {}\n  ]\n}\n', "jq -c"),
    "an object as firebase writes it": ('{"users": [\n{"email":"ada@example.com"}\n]}\n', "jq -c '.users[]"),
    "an object on one line": ('{"Users":[{"Username":"ada"}]}\n', "jq -c '.Users[]"),
    "an object that begins with another": ('\ufeff{"realm": {\n"users": []}}\n', "jq -c"),
    "an object longer than a line may be": ('{"users":[' + '{"email":"ada@example.com"},' * 1000, "jq -c '.users[]"),
}


def test_a_file_that_is_one_json_document_is_told_how_to_become_lines(embedded: Operator) -> None:
    for kind, (text, hint) in DOCUMENTS.items():
        done = embedded.run("users", "import", embedded.write("accounts.json", text), code=1)
        assert said(done).startswith("Error: The file is one JSON document"), kind
        assert hint in done.stderr, kind
        assert "\n" not in said(done)
    assert exported(embedded) == []


def test_a_hash_that_cannot_be_used_becomes_none_and_a_bad_name_is_dropped_if_so_asked_and_counted(
    embedded: Operator,
) -> None:
    given = lines(
        {"email": "md5@example.com", "hashed_password": "5f4dcc3b5aa765d61d8327deb882cf99"},
        {"email": "dear@example.com", "hashed_password": "$2b$15$" + "." * 53, "username": "fine"},
        {"email": "name@example.com", "hashed_password": HASH, "username": "name@example.com"},
        {"email": "both@example.com", "hashed_password": "md5$x$y", "username": "two words"},
        {"email": "ada@example.com", "hashed_password": HASH, "username": "ada"},
        {"email": "no address", "username": "two words", "hashed_password": "md5$x$y"},
    )
    file = embedded.write("in.jsonl", given)
    for words, imported in [((), 1), (("--unknown-hash", "reset"), 3), (("--bad-username", "drop"), 2)]:
        found = report(embedded, file, *words, "--dry-run", code=1)
        assert (found["imported"], found["refused"]) == (imported, 6 - imported), words
    both = ("--unknown-hash", "reset", "--bad-username", "drop")
    for imported in (5, 0):
        found = report(embedded, file, *both, code=1)
        assert (found["imported"], found["already_there"], found["refused"]) == (imported, 5 - imported, 1)
        expected = (3, 2) if imported else (0, 0)
        assert (found["hashes_reset"], found["usernames_dropped"]) == expected, "of those that came in"
    kept = {row["email"]: (row["username"], row["hashed_password"]) for row in exported(embedded, "--with-hashes")}
    assert kept == {
        "md5@example.com": (None, None), "dear@example.com": ("fine", None), "name@example.com": (None, HASH),
        "both@example.com": (None, None), "ada@example.com": ("ada", HASH),
    }  # fmt: skip


def test_a_hash_that_only_lacks_a_setting_is_not_thrown_away(embedded: Operator) -> None:
    hashed = f"$firebase-scrypt$ln=14,r=8,ss=Bw==$c2FsdA==${'a' * 86}=="
    given = lines({"email": "ada@example.com", "hashed_password": hashed})
    words = ("users", "import", "-", "--format", "jsonl", "--unknown-hash", "reset")
    assert "AUTH_PASSWORD__FIREBASE_SIGNER_KEY" in embedded.run(*words, given=given, code=1).stderr
    assert exported(embedded) == []


@on_a_lasting_database
def test_an_id_of_the_file_is_the_id_of_the_account_and_belongs_to_one(operator: Operator) -> None:
    file = operator.write(
        "in.jsonl",
        lines(
            {"id": ID, "email": "ada@example.com", "username": "ada"},
            {"id": ID, "email": "ada@example.com", "username": "ada"},
            {"id": ID, "email": "grace@example.com"},
            {"id": OTHER_ID, "email": "ada@example.com"},
            {"id": ID, "email": "ada@example.com", "username": "ada", "role": "admin"},
            {"email": "linus@example.com"},
        ),
    )
    for batch in ("10", "1"):
        for imported in (2, 0):
            found = report(operator, file, "--batch-size", batch, code=1)
            assert (found["imported"], found["already_there"], found["refused"]) == (imported, 3 - imported, 3)
        told = operator.run("users", "import", file, code=1).stderr
        assert "line 3: id: Used by another account or an earlier line." in told
        assert "line 4: id: An account or an earlier line with this address has another one." in told
        assert "line 5: role: An account or an earlier line with this address has another one." in told
        rows = {row["email"]: row["id"] for row in exported(operator, "--with-ids")}
        assert rows["ada@example.com"] == ID
        assert len(rows) == 2
        for email in rows:
            operator.run("users", "delete", email, "--yes")


@on_a_lasting_database
async def test_the_trail_names_the_first_and_last_id_of_those_that_were_made_here(operator: Operator) -> None:
    for account in ({"id": ID, "email": "ada@example.com"}, {"email": "grace@example.com"}):
        await asyncio.to_thread(report, operator, "-", "--format", "jsonl", given=lines(account))
    ((made,),) = await run_sql(operator.url, "SELECT id FROM users WHERE email = 'grace@example.com'")
    done = await asyncio.to_thread(operator.run, "audit", "--event", "accounts.imported", "--json")
    newest, oldest = (json.loads(line)["details"] for line in done.stdout.splitlines())
    assert newest["first_id"].replace("-", "") == newest["last_id"].replace("-", "") == str(made).replace("-", "")
    assert "first_id" not in oldest


@on_a_lasting_database
def test_a_dry_run_writes_nothing_and_tells_what_the_import_then_does(operator: Operator) -> None:
    report(operator, "-", "--format", "jsonl", given=people(0))
    before = exported(operator, "--with-ids")
    file = operator.write(
        "in.jsonl",
        people(0, 1, 2, 1)
        + lines(
            {"email": "user1@example.com"},
            {"email": "USER2@example.com", "role": "admin", "username": "user2"},
            {"email": "user3@example.com", "username": "User1"},
            {"email": "user0@example.com", "is_active": False},
            {"id": ID, "email": "user4@example.com"},
            {"id": ID, "email": "user5@example.com"},
            {"email": "user6@example.com", "hashed_password": "md5"},
        ),
    )
    told = []
    for number, words in enumerate((("--dry-run",), ("--dry-run",), ())):
        for batch in ("1", "3", "100") if words else ("3",):
            rejects = operator.folder / f"rejects{number}{batch}.jsonl"
            options = ("--batch-size", batch, "--rejects", str(rejects), *words)
            told.append((report(operator, file, *options, code=1), rejects.read_text("utf-8")))
            if words:
                assert exported(operator, "--with-ids") == before
                assert "accounts.imported" not in operator.run("users", "import", file, *words, code=1).stderr
    assert told[0][0] | {"through_line": 11} == told[-1][0]
    assert [refusal for refusal in told if refusal != told[-1]] == []
    assert (told[-1][0]["imported"], told[-1][0]["already_there"], told[-1][0]["refused"]) == (3, 3, 5)
    assert len(exported(operator)) == len(before) + 3
    assert len(operator.run("audit", "--event", "accounts.imported", "--json").stdout.splitlines()) > 1
    sentence = operator.run("users", "import", file, "--dry-run", code=1).stdout
    assert sentence.startswith("dry run, nothing was written; would have imported 0 accounts; 6 already existed")


SIGN_INS = {
    # the account's name, the password, what is said of it
    "by address": ("ADA@example.com", PASSWORD, True, "line 1: the password is right"),
    "by username": ("Ada", PASSWORD, True, "line 1: the password is right"),
    "a wrong password": ("ada", PASSWORD + "x", False, "line 1: the password does not fit the hash (bcrypt rounds=4)"),
    "a disabled account": ("off", PASSWORD, False, "line 2: the password is right, but the account is disabled"),
    "no password": ("none", PASSWORD, False, "line 3: the account has no password"),
    "nobody": ("nobody", PASSWORD, False, "no line that can be imported"),
    "no name": ("two words", PASSWORD, False, "no line that can be imported"),
    "a refused line": ("refused@example.com", PASSWORD, False, "no line that can be imported"),
    "no password given": ("ada", "", False, "line 1: the password does not fit"),
}


def test_a_dry_run_tries_one_sign_in(embedded: Operator) -> None:
    file = embedded.write(
        "in.jsonl",
        lines(
            {"email": "ada@example.com", "username": "ada", "hashed_password": HASH},
            {"email": "off@example.com", "username": "off", "hashed_password": HASH, "is_active": False},
            {"email": "none@example.com", "username": "none"},
        ),
    )
    refused = embedded.write("refused.jsonl", lines({"email": "refused@example.com", "hashed_password": "md5"}))
    for kind, (name, password, right, sentence) in SIGN_INS.items():
        code = 0 if right else 1
        words = ("users", "import", refused if kind == "a refused line" else file, "--dry-run", "--sign-in", name)
        done = embedded.run(*words, given=f"{password}\n", code=code)
        assert f"\nsign-in: {sentence}" in done.stdout, kind
        told = json.loads(embedded.run(*words, "--json", given=f"{password}\n", code=code).stdout)["sign_in"]
        assert (told["right"], told["reason"].startswith(sentence)) == (right, True), kind
    assert exported(embedded) == []


def test_a_sign_in_is_tried_in_a_dry_run_and_with_the_password_alone_on_standard_input(embedded: Operator) -> None:
    file = embedded.write("in.jsonl", people(1))
    assert "--dry-run" in embedded.run("users", "import", file, "--sign-in", "user1", code=2, given="x\n").stderr
    words = ("users", "import", "-", "--format", "jsonl", "--dry-run", "--sign-in", "user1")
    assert "standard input" in embedded.run(*words, code=2, given="x\n").stderr
