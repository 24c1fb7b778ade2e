"""The page about importing is true: each of its commands runs on a sample of such an export, and owners sign in with
what comes of it, here and, of what is exported, there.

The samples have the shapes of the systems' own exports; the hashes of Keycloak and Firebase are real ones that were
published with their passwords.
"""

import base64
import json
import shlex
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import argon2
import pytest
from argon2.low_level import Type, hash_secret_raw
from pydantic import SecretStr

from auth_service.security.passwords.hashing import Passwords
from auth_service.settings import PasswordSettings
from tests.conftest import FAST_HASHING, environment
from tests.support.accounts_files import HASH, exported
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.foreign_hashes import SIGNER_KEY
from tests.support.markdown import ROOT, block
from tests.support.operator import Operator
from tests.support.postgres import Postgres, programs
from tests.support.shell import Shell, needs

PAGE = "docs/importing.md"
EXPORTS = Path(__file__).parent / "exports"
FASTAPI_USERS = ROOT / "bench" / "peers" / "fastapi_users"

pytestmark = needs("bash", "curl", "jq")


class Shop:
    """Somebody who follows the page: a folder with a database of the service, and the commands of the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = {"AUTH_PASSWORD__FIREBASE_SIGNER_KEY": SIGNER_KEY}
        self.operator = Operator(f"sqlite+aiosqlite:///{folder}/auth.db", folder, **settings)
        self.operator.run("migrate")

    def run(self, recipe: str, prepared: str = "", given: str = "", **env: str) -> str:
        """Run a block of the page, after what is `prepared`, and return what it printed."""
        env = environment(self.operator.url, **self.operator.settings) | env
        return Shell(self.folder, env, prepared).follow(PAGE, f"run: {recipe}", given=given)

    def take(self, name: str, *others: str, **replaced: str) -> None:
        """Put a sample where the page expects it, and each of the others beside it."""
        for file, export in zip(("users.json", *others), (name, *others), strict=True):
            content = (EXPORTS / export).read_text("utf-8")
            for word, value in replaced.items():
                content = content.replace(f'"{word}"', f'"{value}"')
            (self.folder / file.removeprefix("auth0_")).write_text(content)

    def imported(self) -> dict[str, dict[str, Any]]:
        """Import what came of the recipe; return the accounts by their addresses."""
        self.operator.run("users", "import", str(self.folder / "accounts.jsonl"))
        return self.accounts()

    def accounts(self) -> dict[str, dict[str, Any]]:
        return {row.pop("email"): row for row in exported(self.operator, "--with-ids", "--with-hashes")}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


PASSWORDS = Passwords(PasswordSettings(**FAST_HASHING, firebase_signer_key=SecretStr(SIGNER_KEY)))


def opens(account: dict[str, Any], password: str) -> bool:
    return PASSWORDS.verify(password, account["hashed_password"])[0]


def told(accounts: dict[str, dict[str, Any]], *fields: str) -> dict[str, tuple[Any, ...]]:
    return {email: tuple(account[field] for field in fields) for email, account in accounts.items()}


STATE = ("is_active", "is_verified", "created_at")


@runs(PAGE, "run: document", "run: import")
def test_a_document_becomes_lines_is_tried_and_comes_in(shop: Shop) -> None:
    (shop.folder / "accounts.json").write_text(json.dumps([{"email": "ada@example.com", "username": "ada", "age": 36}]))
    shop.run("document")
    assert list(shop.imported()) == ["ada@example.com"]
    shop.operator.run("users", "delete", "ada@example.com", "--yes")
    account = {"email": "ada@example.com", "hashed_password": HASH}
    (shop.folder / "accounts.jsonl").write_text(json.dumps(account) + "\n")
    (shop.folder / "password.txt").write_text(PASSWORD + "\n")
    printed = shop.run("import")
    assert "\nsign-in: line 1: the password is right\nimported 1 accounts" in printed
    assert opens(shop.accounts()["ada@example.com"], PASSWORD)


@runs(PAGE, "run: again", "example: rejects")
def test_refused_lines_are_taken_out_of_the_file_and_told_as_the_page_shows(shop: Shop) -> None:
    bad = [{"email": "linus", "role": "No Role"}, {"email": "linus@example.com", "id": "7"}]
    good = [{"email": "ada@example.com"}, {"email": "grace@example.com"}]
    given = [json.dumps(one) for pair in zip(good, bad, strict=True) for one in pair]
    shop.operator.write("accounts.jsonl", "\n".join(given) + "\n")
    shop.operator.run("users", "import", "accounts.jsonl", "--rejects", "rejects.jsonl", code=1)
    told = (shop.folder / "rejects.jsonl").read_text("utf-8").splitlines()
    assert json.loads(told[0]) == json.loads(block(PAGE, "example: rejects"))
    shop.run("again")
    assert (shop.folder / "again.jsonl").read_text("utf-8").splitlines() == given[1::2]


@runs(PAGE, "run: firebase")
def test_firebase(shop: Shop) -> None:
    shop.take("firebase.json")
    shop.run("firebase")
    accounts = shop.imported()
    assert accounts.pop("undated@example.com")["is_active"]  # and its time is that of the import
    assert told(accounts, *STATE) == {
        "ada@example.com": (True, True, "2021-01-30T12:50:12Z"),
        "banned@example.com": (False, False, "2017-07-14T02:40:00Z"),
        "google@example.com": (True, True, "2020-09-13T12:26:40Z"),
    }
    assert [email for email, account in accounts.items() if opens(account, "user1password")] == [
        "ada@example.com", "banned@example.com",
    ]  # fmt: skip


@runs(PAGE, "run: auth0")
def test_auth0(shop: Shop) -> None:
    """One account of an address: blocked if one of its users is, and never with the password of an unverified one."""
    shop.take("auth0_users.json", "auth0_hashes.json", ADA=HASH)
    shop.run("auth0")
    accounts = shop.imported()
    assert told(accounts, *STATE) == {
        "ada@example.com": (True, True, "2021-03-05T16:35:16.775000Z"),
        "banned@example.com": (False, True, "2021-03-05T16:34:49.502000Z"),
        "Both@example.com": (True, True, "2020-01-31T08:00:00Z"),
        "twice@example.com": (False, True, "2019-01-31T08:00:00Z"),
    }
    assert accounts["ada@example.com"]["username"] == "ada"
    assert {email: opens(account, PASSWORD) for email, account in accounts.items()} == {
        "ada@example.com": True, "banned@example.com": True, "Both@example.com": False, "twice@example.com": True,
    }  # fmt: skip


@runs(PAGE, "run: keycloak")
def test_keycloak(shop: Shop) -> None:
    shop.take("keycloak.json")
    (shop.folder / "users.json").rename(shop.folder / "realm.json")
    shop.run("keycloak")
    accounts = shop.imported()
    assert told(accounts, *STATE, "username") == {
        "peter@example.com": (True, True, "2024-10-04T09:05:47Z", "peter"),
        "banned@example.com": (False, False, "2023-03-17T14:20:34Z", None),
        "mary@example.com": (True, True, "2024-04-18T23:29:50Z", "mary"),
        "google@example.com": (True, True, "2024-04-18T23:29:50Z", "by-google"),
    }
    assert accounts["peter@example.com"]["id"] == "58d592d9-650b-4e7f-af46-089a439b5e49"
    passwords = {"peter@example.com": "iceberg", "banned@example.com": "admin", "mary@example.com": "password"}
    for email, password in passwords.items():
        assert opens(accounts[email], password), email
        assert not opens(accounts[email], password + "x"), email


# What the migrations of Supabase's auth make of this table, as far as the command reads it.
AUTH_USERS = """
    CREATE SCHEMA auth;
    CREATE TABLE auth.users (
        id uuid PRIMARY KEY, email varchar(255), encrypted_password varchar(255), email_confirmed_at timestamptz,
        banned_until timestamptz, created_at timestamptz, deleted_at timestamptz,
        is_sso_user boolean NOT NULL DEFAULT false
    );
    INSERT INTO auth.users (id, email, encrypted_password, email_confirmed_at, banned_until, created_at, is_sso_user)
    VALUES
        ('00000000-0000-4000-8000-000000000001', 'ada@example.com', '{hash}', now(), NULL,
         '2021-01-31 08:00:12.345+00', false),
        ('00000000-0000-4000-8000-000000000002', 'banned@example.com', '{hash}', NULL, now() + interval '100 years',
         '2021-01-31 08:00:13+00', false),
        ('00000000-0000-4000-8000-000000000003', 'free@example.com', '', now(), now() - interval '1 day',
         '2021-01-31 08:00:14+00', false),
        ('00000000-0000-4000-8000-000000000004', 'sso@example.com', NULL, now(), NULL, now(), true),
        ('00000000-0000-4000-8000-000000000005', NULL, NULL, NULL, NULL, now(), false);
    INSERT INTO auth.users (id, email, created_at, deleted_at)
    VALUES ('00000000-0000-4000-8000-000000000006', 'gone@example.com', now(), now());
"""


@pytest.fixture
def target(postgres: Postgres) -> Iterator[str]:
    """The database of another system."""
    name = f"other_{uuid4().hex}"
    postgres.create_database(name)
    yield postgres.url(name).replace("postgresql+asyncpg", "postgresql")
    postgres.drop_database(name)


@runs(PAGE, "run: supabase")
def test_supabase(shop: Shop, target: str) -> None:
    tables = AUTH_USERS.replace("{hash}", HASH)
    subprocess.run([programs() / "psql", target, "-Xqc", tables], check=True, timeout=30)
    shop.run("supabase", SUPABASE_URL=target)
    accounts = shop.imported()
    assert told(accounts, "id", *STATE) == {
        "ada@example.com": ("00000000-0000-4000-8000-000000000001", True, True, "2021-01-31T08:00:12.345000Z"),
        "banned@example.com": ("00000000-0000-4000-8000-000000000002", False, False, "2021-01-31T08:00:13Z"),
        "free@example.com": ("00000000-0000-4000-8000-000000000003", True, True, "2021-01-31T08:00:14Z"),
    }
    assert [opens(account, PASSWORD) for account in accounts.values()] == [True, True, False]


@runs(PAGE, "run: cognito")
def test_cognito(shop: Shop) -> None:
    shop.run("cognito", prepared=f"aws() {{ cat {shlex.quote(str(EXPORTS / 'cognito.json'))}; }}", POOL="eu-1_x")
    accounts = shop.imported()
    assert told(accounts, "id", *STATE) == {
        "ada@example.com": ("0b1f6f0c-1c5d-4c55-8d3e-5a6e1f3b9c21", True, True, "2021-01-31T08:00:12.345000Z"),
        "banned@example.com": ("1b1f6f0c-1c5d-4c55-8d3e-5a6e1f3b9c21", False, False, "2021-01-31T08:00:12Z"),
    }
    assert {account["hashed_password"] for account in accounts.values()} == {None}


MANAGE = """
import os, sys
import django
from django.conf import settings
HASHERS = ["Argon2PasswordHasher", "PBKDF2PasswordHasher", "BCryptPasswordHasher"]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.db"}}, USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"], SECRET_KEY="x" * 50,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers." + name for name in HASHERS],
)
django.setup()
if sys.argv[1] == "tell":
    from django.contrib.auth import authenticate
    from django.contrib.auth.models import User
    def tries(user):
        return [authenticate(username=user.username, password=sys.argv[2] + more) is not None for more in ("x", "")]
    rows = {u.email: [*tries(u), u.is_active, u.is_superuser, u.has_usable_password(), u.date_joined.isoformat()]
            for u in User.objects.all()}
    import json
    print(json.dumps(rows))
elif sys.argv[1] == "fill":
    from django.contrib.auth.hashers import make_password
    from django.contrib.auth.models import User
    by = {"password": make_password(sys.argv[2], hasher="pbkdf2_sha256")}
    User.objects.create(username="ada", email="ada@example.com", is_superuser=True, **by)
    User.objects.create(username="banned@example.com", email="banned@example.com", is_active=False, **by)
    User.objects.create(username="two words", email="words@example.com", **by)
    User.objects.create(username="nobody", **by)
    User.objects.create_user("no-password", "none@example.com")
else:
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""


@pytest.fixture
def django(shop: Shop) -> str:
    """The path of a project's manage.py, with its database."""
    (shop.folder / "manage.py").write_text(MANAGE)
    manage(shop, "migrate", "-v0")
    return str(shop.folder / "manage.py")


def manage(shop: Shop, *words: str) -> str:
    program = [sys.executable, "-Wignore", "manage.py", *words]
    return subprocess.run(program, cwd=shop.folder, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.usefixtures("django")
@runs(PAGE, "run: django")
def test_django(shop: Shop) -> None:
    manage(shop, "fill", PASSWORD)
    shop.run("django")
    accounts = shop.accounts()
    assert told(accounts, "is_active", "username", "role") == {
        "ada@example.com": (True, "ada", "admin"), "banned@example.com": (False, None, "user"),
        "words@example.com": (True, None, "user"), "none@example.com": (True, "no-password", "user"),
    }  # fmt: skip
    assert [opens(account, PASSWORD) for account in accounts.values()] == [True, True, True, False]


OURS = argon2.PasswordHasher(memory_cost=1024, time_cost=1, parallelism=1).hash(PASSWORD)
ADA = "0b1f6f0c-1c5d-4c55-8d3e-5a6e1f3b9c21"


@pytest.fixture
def leaving(shop: Shop) -> Shop:
    """A shop whose accounts are in accounts.jsonl, as the page exports them: of each kind that there is."""
    rows = [
        {"id": ADA, "email": "ada@example.com", "username": "ada", "role": "admin", "hashed_password": OURS},
        {"email": "bcrypt@example.com", "is_verified": True, "hashed_password": HASH},
        {"email": "banned@example.com", "is_active": False, "hashed_password": OURS},
        {"email": "none@example.com", "created_at": "2021-01-31T08:00:12.345Z"},
    ]
    (shop.folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shop.operator.run("users", "import", str(shop.folder / "in.jsonl"))
    with closing(sqlite3.connect(shop.folder / "auth.db")) as database, database:  # as if ada had signed in
        database.execute("UPDATE users SET hashed_password = ? WHERE email = 'ada@example.com'", (OURS,))
    shop.run("export")
    hashes = {row["email"]: row["hashed_password"] for row in lines_of(shop)}
    assert (hashes["ada@example.com"], hashes["banned@example.com"]) == (OURS, f"argon2{OURS}")
    return shop


def lines_of(shop: Shop) -> list[dict[str, Any]]:
    """The accounts in accounts.jsonl."""
    return [json.loads(line) for line in (shop.folder / "accounts.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.usefixtures("django")
@runs(PAGE, "run: export", "run: to django")
def test_out_to_django(leaving: Shop) -> None:
    leaving.run("to django")
    rows = json.loads(manage(leaving, "tell", PASSWORD))
    assert {email: row[:5] for email, row in rows.items()} == {
        # signs in with a wrong password and with the right one, is active, is a superuser, has a password
        "ada@example.com": [False, True, True, True, True], "bcrypt@example.com": [False, True, True, False, True],
        "banned@example.com": [False, False, False, False, True],
        "none@example.com": [False, False, True, False, False],
    }  # fmt: skip
    assert rows["none@example.com"][5] == "2021-01-31T08:00:12.345000+00:00"


SIGN_IN_THERE = """
import asyncio, json, sys
from types import SimpleNamespace
from fastapi_users.db import SQLAlchemyUserDatabase
from app import User, UserManager, engine, make_tables, new_session
from fastapi_users.password import PasswordHelper
from sqlalchemy import select

async def tell():
    async with new_session() as session:
        manager = UserManager(SQLAlchemyUserDatabase(session, User), PasswordHelper())
        rows = (await session.scalars(select(User).order_by(User.email))).all()
        emails = [(u.email, str(u.id), u.is_active, u.is_superuser, u.is_verified) for u in rows]
        found = {}
        for email, *others in emails:
            tries = [SimpleNamespace(username=email, password=sys.argv[2] + more) for more in ("x", "")]
            found[email] = [await manager.authenticate(one) is not None for one in tries] + others
        print(json.dumps(found))
    await engine.dispose()

asyncio.run(make_tables() if sys.argv[1] == "make" else tell())
"""


@pytest.fixture(scope="module")
def fastapi_users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtualenv with fastapi-users, exactly as the comparison pins it."""
    folder = tmp_path_factory.mktemp("fastapi_users") / "venv"
    python, pinned = folder / "bin" / "python", ("-r", str(FASTAPI_USERS / "requirements.txt"))
    exactly = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
    for words in (
        ("venv", "-q", "--python", sys.executable, str(folder)),
        ("pip", "install", "-q", "--python", str(python), *exactly, *pinned),
    ):
        subprocess.run([sys.executable, "-m", "uv", *words], check=True, timeout=120, capture_output=True)
    return python


@runs(PAGE, "run: to fastapi-users")
def test_out_to_fastapi_users(leaving: Shop, target: str, fastapi_users: Path) -> None:
    settings = {"POOL_SIZE": "1", "POOL_OVERFLOW": "0", "ARGON2_MEMORY_KIB": "64", "ARGON2_TIME_COST": "1"}
    env = {"DATABASE_URL": target, "SECRET": "x" * 32, "ARGON2_PARALLELISM": "1", **settings}
    env |= {"PYTHONPATH": str(FASTAPI_USERS), "PYTHONPYCACHEPREFIX": str(leaving.folder)}

    def there(*words: str) -> str:
        program = [str(fastapi_users), "-c", SIGN_IN_THERE, *words]
        done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    there("make")
    leaving.run("to fastapi-users", TARGET_URL=target)
    rows = json.loads(there("tell", PASSWORD))
    assert {email: row[:2] + row[3:] for email, row in rows.items()} == {
        # opens to a wrong password and to the right one, is active, is a superuser, is verified
        "ada@example.com": [False, True, True, True, False], "bcrypt@example.com": [False, True, True, False, True],
        "banned@example.com": [False, True, False, False, False],
        "none@example.com": [False, False, True, False, False],
    }  # fmt: skip
    assert rows["ada@example.com"][2] == ADA


def computed_by_keycloak(credential: dict[str, str], password: str) -> bool:
    """As Keycloak's Argon2PasswordHashProvider verifies; `test_keycloak` shows real ones of it."""
    how, secret = json.loads(credential["credentialData"]), json.loads(credential["secretData"])
    more = {name: value[0] for name, value in how["additionalParameters"].items()}
    assert (how["algorithm"], more["version"], more["type"]) == ("argon2", "1.3", "id")
    raw = hash_secret_raw(
        password.encode(), base64.b64decode(secret["salt"], validate=True), how["hashIterations"],
        int(more["memory"]), int(more["parallelism"]), int(more["hashLength"]), Type.ID,
    )  # fmt: skip
    return bool(base64.b64encode(raw).decode() == secret["value"])


@runs(PAGE, "run: to keycloak")
def test_out_to_keycloak_and_back(leaving: Shop) -> None:
    leaving.run("to keycloak")
    users = {row["email"]: row for row in json.loads((leaving.folder / "users.json").read_text("utf-8"))["users"]}
    assert {email: (row["enabled"], row["emailVerified"], len(row["credentials"])) for email, row in users.items()} == {
        "ada@example.com": (True, False, 1), "bcrypt@example.com": (True, True, 0),
        "banned@example.com": (False, False, 1), "none@example.com": (True, False, 0),
    }  # fmt: skip
    assert (users["ada@example.com"]["id"], users["ada@example.com"]["username"]) == (ADA, "ada")
    assert users["none@example.com"]["createdTimestamp"] == 1612080012000
    for email in ("ada@example.com", "banned@example.com"):
        (credential,) = users[email]["credentials"]
        assert computed_by_keycloak(credential, PASSWORD)
        assert not computed_by_keycloak(credential, PASSWORD + "x")
    (leaving.folder / "users.json").rename(leaving.folder / "realm.json")
    leaving.run("keycloak")
    assert {row["email"] for row in lines_of(leaving) if row["hashed_password"] and opens(row, PASSWORD)} == {
        "ada@example.com", "banned@example.com",
    }  # fmt: skip


@contextmanager
def admin_api() -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    """Stands in for Supabase: its address, and the path, the key and the body of each request."""
    asked: list[tuple[str, str, dict[str, Any]]] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@runs(PAGE, "run: to supabase")
def test_out_to_supabase(leaving: Shop) -> None:
    with admin_api() as (address, asked):
        leaving.run("to supabase", SUPABASE_API=address, SERVICE_KEY="key")
    assert {(path, key) for path, key, _ in asked} == {("/auth/v1/admin/users", "Bearer key")}
    users = {body["email"]: body for *_, body in asked}
    assert users["ada@example.com"]["id"] == ADA
    assert {email: (body["ban_duration"], body["email_confirm"]) for email, body in users.items()} == {
        "ada@example.com": ("none", False), "bcrypt@example.com": ("none", True),
        "banned@example.com": ("876000h", False), "none@example.com": ("none", False),
    }  # fmt: skip
    for email in ("ada@example.com", "banned@example.com"):
        assert argon2.PasswordHasher().verify(users[email]["password_hash"], PASSWORD)
    assert users["bcrypt@example.com"]["password_hash"] == HASH
    assert "password_hash" not in users["none@example.com"]
