"""Guessing what people choose: what stands on the list, in the names at hand or on a keyboard is not taken."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from auth_service.blocklist import SHIPPED, Blocklist
from auth_service.cli import main
from auth_service.security.factors.passkey_names import SHIPPED as PASSKEY_NAMES
from deploy.blocklist import main as make_table
from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.markdown import ROOT
from tests.support.problems import assert_problem, faults

on_one_database = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

ACCOUNT = ("ada.byron@example.com", "countess")
GUESSED = [
    "123456789012345", "passwordpassword", "qwertyuiopasdfgh", ACCOUNT[0],  # the bar's own examples
    "cristianoronaldo", "CristianoRonaldo", "cristianoronaldo1!", "2024manchesterunited",  # listed, and dressed up
    "password-password", "Password1Password1", "passwordpassword1!", "stupidstupidstupid",  # listed, and repeated
    "abcabcabcabcabc", "aaaaaaaaaaaaaaa", "a-a-a-a-a-a-a-a-a", "---------------", "\u044f" * 15,  # repeated
    "1qaz2wsx3edc4rfv", "zyxwvutsrqponmlk", "qwerty!qwerty!qwerty", "mnbvcxzmanchester",  # walks on a keyboard
    "ADA.BYRON@example.com", "ada.byron@example.com1", "adabyronadabyron", "countess-countess", "countess12345678",
    "auth-service-2024", "auth.acme-corp.example", "acme-corp-acme-corp", "www.acme-corp.com",  # the service's names
]  # fmt: skip
TAKEN = [
    PASSWORD, "another long passphrase", "the countess of lovelace writes", "my dog eats 12345678 bones",
    "hunter2hunter2 is not a password", "winter 83 29 4721 0064", "tr0ub4dor&3 and more", "kq7m2vzp 93hd-aq",
    "a" * 72 + "X" * 20, " " * 15 + "x", "\U0001f511" * 15, "'; DROP TABLE users; --",
]  # fmt: skip


@pytest.fixture
async def service(make_client: MakeClient) -> Client:
    return await make_client(public_url="https://auth.acme-corp.example/v1")


@on_one_database
async def test_what_a_guesser_tries_first_is_not_taken_at_registration_and_the_reason_is_given(service: Client) -> None:
    for password in GUESSED:
        answer = await service.register(ACCOUNT[0], password, ACCOUNT[1])
        assert_problem(answer, 422, "password-blocklisted", "https://auth.acme-corp.example/v1")
        assert faults(answer) == [("password", "password-blocklisted")], password


@on_one_database
async def test_nor_is_it_taken_at_a_change(service: Client) -> None:
    await service.register(ACCOUNT[0], PASSWORD, ACCOUNT[1])
    tokens = await service.sign_in(ACCOUNT[0])
    for password in GUESSED:
        answer = await service.change_password(tokens["access_token"], PASSWORD, password)
        assert_problem(answer, 422, "password-blocklisted", "https://auth.acme-corp.example/v1")
        assert faults(answer) == [("new_password", "password-blocklisted")], password
    assert (await service.login(ACCOUNT[0])).status_code == 200


@on_one_database
async def test_a_password_that_only_holds_such_a_thing_is_taken(service: Client) -> None:
    await service.register(ACCOUNT[0], PASSWORD, ACCOUNT[1])
    tokens, current = await service.sign_in(ACCOUNT[0]), PASSWORD
    for password in TAKEN:
        answer = await service.change_password(tokens["access_token"], current, password)
        assert answer.status_code == 200, password
        tokens, current = answer.json(), password


@on_one_database
async def test_only_the_names_of_the_account_itself_are_a_reason(service: Client) -> None:
    refused = await service.register("ada@example.org", "quenelda quenelda", "quenelda")
    assert refused.json()["code"] == "password-blocklisted"
    assert (await service.register("ada@example.org", "quenelda quenelda", "ada")).status_code == 201


@on_one_database
@pytest.mark.parametrize("made_into_a_table", [False, True])
async def test_a_list_of_the_operators_own_replaces_ours(
    make_client: MakeClient, tmp_path: Path, made_into_a_table: bool
) -> None:
    path = tmp_path / "own.txt"
    path.write_bytes("the caf\u00e9 at the corner\r\n\n\xff".encode() + b"\xff not UTF-8\nplain old words, two lines\n")
    if made_into_a_table:
        made = CliRunner().invoke(make_table, [str(path), "--output", str(path := tmp_path / "own.bin")])
        assert ": 2 passwords, " in made.output
    client = await make_client(password={"blocklist": path})
    for listed in ("The Cafe\u0301 at the corner", "plain old words, two lines"):
        assert_problem(await client.register("ada@example.com", listed), 422, "password-blocklisted")
    assert (await client.register("ada@example.com", "cristianoronaldo")).status_code == 201


def damage(path: Path) -> dict[str, Path]:
    """Files that cannot be a list, by what is wrong with them."""
    whole = SHIPPED.read_bytes()
    contents = {
        "empty": b"",
        "cut-off": whole[:-1],
        "cut-in-the-index": whole[:1000],
        "archive": b"\x1f\x8b\x08\x00" * 99,
    }
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return {**{name: path / name for name in contents}, "folder": path, "missing": path / "nothing"}


def test_a_list_that_cannot_be_used_is_named_in_one_line(tmp_path: Path) -> None:
    for what, path in damage(tmp_path).items():
        ended = CliRunner().invoke(main, ["openapi"], env={"AUTH_PASSWORD__BLOCKLIST": str(path)})
        assert (ended.exit_code, ended.stdout) == (2, ""), what
        (line,) = ended.stderr.splitlines()
        assert line.startswith("Error: AUTH_PASSWORD__BLOCKLIST: must "), what


def test_the_shipped_list_knows_what_leaked_and_nothing_that_was_drawn_by_lot() -> None:
    shipped = Blocklist.open(None)
    assert shipped.count > 450_000
    assert all(word in shipped for word in ("password", "Letmein", "qwerty123", "trustno1", "mychemicalromance"))
    assert sum(f"no such word {number}" in shipped for number in range(20_000)) <= 1


def test_the_shipped_lists_are_in_the_wheel_which_the_image_installs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        for path in (SHIPPED, PASSKEY_NAMES):
            assert wheel.read(path.relative_to(ROOT).as_posix()) == path.read_bytes()
