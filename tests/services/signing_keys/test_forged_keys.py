"""Somebody writes to the table of signing keys: they make no token, stop nothing, and are told of."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text

from auth_service.models import SIGNING_KEYS
from auth_service.security.keys import SecretKeys
from auth_service.security.signing_keys import SealedKey, make_signing_key
from tests.conftest import SECRET, MakeClient
from tests.support.client import Client, bearer
from tests.support.forge import Forge, open_forge
from tests.support.keys import Operator
from tests.support.server import run_command
from tests.support.stored_session import StoredSession

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
INTERNAL = {"X-Internal-Token": "internal-token-of-the-tests"}
OTHER_SECRET = SecretKeys(["c29tZWJvZHkgZWxzZSdzIHNlY3JldCwgbm90IG9mIHRoaXMgc2VydmljZQ"])


class Intruder:
    """Whoever can write to the database, makes key pairs, and does not know AUTH_SECRET_KEY."""

    def __init__(self, client: Client, tokens: dict[str, Any], genuine: Forge) -> None:
        self.database = StoredSession(client, tokens)._database
        self._client = client
        self._genuine = genuine

    async def genuine(self) -> dict[str, Any]:
        async with self.database.statement() as tx:
            (row,) = (await tx.connection.execute(SIGNING_KEYS.select())).mappings()
            return dict(row)

    async def insert(self, row: dict[str, Any], kind: str, **values: Any) -> "Inserted":
        """Add a row with a public half of their own, beside the genuine one."""
        own = make_signing_key(OTHER_SECRET)
        forged = {**row, "kid": own.kid, "public_jwk": own.public_jwk, "state": "retired"}
        forged |= FORGED[kind](own) | values
        async with self.database.transaction() as tx:
            await tx.connection.execute(SIGNING_KEYS.insert().values(forged))
        return Inserted(str(forged["kid"]), own)

    async def insert_as_sql(self, kid: str, **values: str) -> None:
        """Add a row of SQL values, which nothing on the way has to understand."""
        own = make_signing_key(OTHER_SECRET)
        row = {"kid": f"'{kid}'", "algorithm": "'ES256'", "public_jwk": f"'{json.dumps(own.public_jwk)}'"}
        row |= {"private_key": "private_key", "secret_id": "secret_id", "state": "'retired'"}
        row |= {"created_at": "'2026-01-01'"} | values
        select = f"SELECT {', '.join(row.values())} FROM signing_keys WHERE state = 'active'"
        statement = f"INSERT INTO signing_keys ({', '.join(row)}) {select}"
        async with self.database.transaction() as tx:
            await tx.connection.execute(text(statement))

    def token(self, kid: str, own: SealedKey) -> str:
        """An administrator's token, signed with a key of their own."""
        plain = AESGCM(OTHER_SECRET.newest.signing_keys).decrypt(
            own.private_key[:12], own.private_key[12:], own.kid.encode()
        )
        key = serialization.load_der_private_key(plain, password=None)
        return self._genuine.signed({"kid": kid}, {"roles": ["admin"], "sid": str(uuid4())}, key=key)

    async def is_refused(self, token: str) -> bool:
        """Whether each door says that the token is not valid, and not that the service is out of order."""
        verified, listed, told = await asyncio.gather(
            self._client.get("/internal/verify", headers=INTERNAL | bearer(token)),
            self._client.get("/auth/sessions", headers=bearer(token)),
            self._client.post("/internal/introspect", data={"token": token}, headers=INTERNAL),
        )
        return (verified.status_code, listed.status_code, told.json()) == (401, 401, {"active": False})


@dataclass(frozen=True)
class Inserted:
    kid: str
    own: SealedKey


# What the row holds instead of the genuine key's sealed half, beside a public half of the intruder's.
FORGED: dict[str, Callable[[SealedKey], dict[str, Any]]] = {
    "the genuine key's sealed half": lambda _own: {},
    "a half sealed under a secret of their own": lambda own: {
        "private_key": own.private_key,
        "secret_id": own.secret_id,
    },
    "that half, as if sealed under ours": lambda own: {"private_key": own.private_key},
    "nothing": lambda _own: {"private_key": b""},
    "an id of a secret that is none": lambda _own: {"secret_id": "no hex"},
    "the name of a file": lambda _own: {"kid": "../../etc/passwd"},
    "no public half": lambda _own: {"public_jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    "a list": lambda own: {"public_jwk": [own.public_jwk]},
    "another algorithm": lambda own: {"algorithm": "HS256", "public_jwk": {**own.public_jwk, "alg": "HS256"}},
}


@pytest.fixture
async def ada(make_client: MakeClient) -> Client:
    client = await make_client(internal_token=INTERNAL["X-Internal-Token"])
    (await client.register("ada@example.com")).raise_for_status()
    return client


@pytest.fixture
async def intruder(ada: Client, database_url: str) -> Intruder:
    return await break_in(ada, database_url)


# What a driver, or the reading of JSON, fails on, as SQL: one such row took all the others with it.
UNREADABLE = {
    "a number of 6,000 digits": {"public_jwk": f"'[{'9' * 6000}]'"},
    "lists 3,000 deep": {"public_jwk": f"'{'[' * 3000}{']' * 3000}'"},
    "made in the year 200000": {"created_at": "'200000-01-01'"},
    "made before the year 1": {"created_at": "'4000-01-01 BC'"},
    "pending since a time that has no end": {"created_at": "'infinity'", "state": "'pending'"},
    "pending since the last second of the last year": {"created_at": "'9999-12-31 23:59:59'", "state": "'pending'"},
    "activated and retired in the year 200000": {"activated_at": "'200000-01-01'", "retired_at": "'200000-01-01'"},
}


@on_a_lasting_database
async def test_a_row_that_cannot_be_read_breaks_no_other_is_told_of_once_and_is_removed(
    make_client: MakeClient, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = await make_client(internal_token=INTERNAL["X-Internal-Token"])
    (await ada.register("ada@example.com")).raise_for_status()
    intruder = await break_in(ada, database_url)
    genuine = await intruder.genuine()
    for kid, values in UNREADABLE.items():
        await intruder.insert_as_sql(kid, **values)
    for kid in UNREADABLE:
        assert await intruder.is_refused(intruder.token(kid, make_signing_key(OTHER_SECRET))), kid
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "signing_key.forged" in line]
    assert sorted(line["kid"] for line in told) == sorted(UNREADABLE), "once each"
    numbers = await ada.get("/metrics", headers=INTERNAL)
    assert (numbers.status_code, (await ada.login()).status_code) == (200, 200)
    other = await make_client()  # a process that starts now
    assert [key["kid"] for key in (await other.get("/.well-known/jwks.json")).json()["keys"]] == [genuine["kid"]]
    operator = Operator(database_url, tmp_path)
    await operator.keys("advance")
    listed = await asyncio.to_thread(operator.run, "list")
    assert listed.returncode == 0
    assert genuine["kid"] in listed.stdout
    assert genuine["kid"] not in listed.stderr
    assert all(kid in listed.stderr for kid in UNREADABLE)
    for kid in [genuine["kid"], *list(UNREADABLE)[:-1]]:
        await operator.keys("revoke", kid)
    assert sorted((await operator.states()).values()) == ["active", "retired"]


async def break_in(client: Client, database_url: str) -> Intruder:
    tokens = await client.sign_in()
    return Intruder(client, tokens, await open_forge(database_url, tokens["access_token"]))


@on_a_lasting_database
async def test_a_key_that_is_inserted_into_the_table_signs_no_token_and_is_not_published(
    make_client: MakeClient, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = await make_client(internal_token=INTERNAL["X-Internal-Token"])
    (await ada.register("ada@example.com")).raise_for_status()
    intruder = await break_in(ada, database_url)
    genuine = await intruder.genuine()
    forged = {kind: await intruder.insert(genuine, kind) for kind in FORGED}
    for _ in range(2):  # each unknown kid has the table read again
        tokens = [intruder.token(each.kid, each.own) for each in forged.values()]
        let_in = await asyncio.gather(*(intruder.is_refused(token) for token in tokens))
        assert dict(zip(forged, let_in, strict=True)) == dict.fromkeys(forged, True)
    assert [key["kid"] for key in (await ada.get("/.well-known/jwks.json")).json()["keys"]] == [genuine["kid"]]
    mine = await ada.sign_in()
    assert (await ada.me(mine["access_token"])).status_code == 200
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line for line in lines if line["event"] in {"signing_key.forged", "signing_key.unreadable"}]
    assert {line["level"] for line in told} == {"error"}
    assert sorted(line["kid"] for line in told) == sorted(each.kid for each in forged.values()), "once each"


@on_a_lasting_database
async def test_the_genuine_public_half_that_is_replaced_verifies_nothing_any_more(
    ada: Client, intruder: Intruder
) -> None:
    """The name and the sealed half stay those of the genuine key."""
    row = await intruder.genuine()
    async with intruder.database.transaction() as tx:
        own = make_signing_key(OTHER_SECRET)
        replaced = {**own.public_jwk, "kid": row["kid"]}
        await tx.connection.execute(SIGNING_KEYS.delete())  # PostgreSQL lets nobody but the owner update it in place
        await tx.connection.execute(SIGNING_KEYS.insert().values({**row, "public_jwk": replaced}))
    await ada.get("/auth/sessions", headers=bearer(intruder.token("look again", own)))
    forged = bearer(intruder.token(row["kid"], own))
    assert (await ada.get("/internal/verify", headers=INTERNAL | forged)).status_code == 503
    assert (await ada.get("/auth/sessions", headers=forged)).status_code == 503
    assert (await ada.login()).status_code == 503, "nothing is left to sign with"


@on_a_lasting_database
@pytest.mark.parametrize("kind", ["the genuine key's sealed half", "a half sealed under a secret of their own"])
async def test_a_pending_key_that_is_inserted_never_takes_over_and_the_command_line_removes_it(
    ada: Client, intruder: Intruder, database_url: str, tmp_path: Path, kind: str
) -> None:
    """Six minutes after it was published, a pending key retires the active one."""
    genuine = await intruder.genuine()
    due = {"state": "pending", "activated_at": None, "created_at": datetime.now(UTC) - timedelta(minutes=7)}
    kid = (await intruder.insert(genuine, kind, **due)).kid
    operator = Operator(database_url, tmp_path)
    await operator.keys("advance")
    assert await operator.states() == {genuine["kid"]: "active", kid: "pending"}
    assert (await ada.login()).status_code == 200
    doctor = await asyncio.to_thread(run_command, "doctor", "--json", "--target", "10", env=operator.env, cwd=tmp_path)
    (found,) = [check for check in json.loads(doctor.stdout)["checks"] if check["name"] == "signing key"]
    assert (found["ok"], kid in found["detail"]) == (False, True)
    await operator.keys("revoke", kid)
    assert await operator.states() == {genuine["kid"]: "active"}


@on_a_lasting_database
async def test_a_key_id_does_not_write_on_the_terminal_of_whoever_lists_the_keys(
    ada: Client, intruder: Intruder, database_url: str, tmp_path: Path
) -> None:
    """It could hide its own line, or add one that looks like that of a genuine key."""
    inserted = await intruder.insert(await intruder.genuine(), "nothing", kid="mine\x07\r\n\x9b2J\u202e  active")
    operator = Operator(database_url, tmp_path)
    for words in (["keys", "list"], ["doctor", "--target", "10"], ["keys", "revoke", inserted.kid]):
        done = await asyncio.to_thread(run_command, *words, env=operator.env, cwd=tmp_path)
        printed = done.stdout + done.stderr
        assert all(line.isprintable() for line in printed.split("\n")), printed
        assert words[0] == "doctor" or "mine\\x07\\r\\n\\x9b2J\\u202e  active" in printed
        assert not any(line.startswith("  active") for line in printed.split("\n"))


@on_a_lasting_database
async def test_a_forged_key_does_not_keep_a_genuine_one_from_being_rotated_revoked_or_encrypted_again(
    ada: Client, intruder: Intruder, database_url: str, tmp_path: Path
) -> None:
    genuine = await intruder.genuine()
    kid = (await intruder.insert(genuine, "the genuine key's sealed half", state="pending", activated_at=None)).kid
    operator = Operator(database_url, tmp_path)
    successor = await operator.rotate()
    newer = {"AUTH_SECRET_KEY": f"bmV3ZXIgdGhhbiB0aGUgb3RoZXIgc2VjcmV0LCBhbmQganVzdCBhcyBsb25n,{SECRET}"}
    assert (
        await operator.keys("rewrap", **newer) == "signing keys encrypted again: 2\nsecond factors encrypted again: 0"
    )
    await operator.keys("revoke", genuine["kid"], **newer)
    assert await operator.states() == {successor: "active", kid: "pending"}
