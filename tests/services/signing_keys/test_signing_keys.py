"""The life of signing keys through the command line, as two running workers follow it."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.client import Client
from tests.support.keys import Operator, all_answer, all_publish, all_sign_with, everywhere, statuses
from tests.support.polling import eventually
from tests.support.postgres import Postgres
from tests.support.processes import client_of
from tests.support.server import Server
from tests.support.traffic import Traffic, kid_of

INTERNAL = "internal-token-of-the-tests"
CALM = {"AUTH_REVOCATIONS__STALE_AFTER": "60"}  # a process that stands still for a while is not what this is about
SOON = 4.0  # seconds in which every worker has followed, on a loaded machine too; two are promised


@pytest.fixture(scope="module")
def service(
    postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Operator, Server]]:
    name = f"keys_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    operator = Operator(postgres.url(name), tmp_path_factory.mktemp("keys"), AUTH_INTERNAL_TOKEN=INTERNAL, **CALM)
    with Server(operator.env, operator.folder, workers=2) as server:
        server.wait_ready()
        yield operator, server
    postgres.drop_database(name)


@pytest.fixture
def operator(service: tuple[Operator, Server]) -> Operator:
    return service[0]


@pytest.fixture
def server(service: tuple[Operator, Server]) -> Server:
    return service[1]


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with client_of(server) as client:
        yield client


async def sign_in(client: Client) -> dict[str, Any]:
    email = f"{uuid4().hex}@example.com"
    (await client.register(email)).raise_for_status()
    return await client.sign_in(email)


async def test_a_new_key_is_published_everywhere_while_the_old_one_signs(
    operator: Operator, server: Server, client: Client
) -> None:
    old = await operator.keep_one()
    new = await operator.rotate()
    await eventually(all_publish, server, {old, new}, seconds=SOON)
    assert await all_sign_with(server, await sign_in(client), old)
    assert await operator.states() == {old: "active", new: "pending"}


async def test_a_second_rotation_waits_for_the_first(operator: Operator) -> None:
    await operator.keep_one()
    await operator.rotate()
    refused = await asyncio.to_thread(operator.run, "rotate")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "Error: A new key is already published and will sign soon; nothing was changed."
    ]


async def test_a_published_key_signs_after_six_minutes_and_the_old_tokens_stay_good(
    operator: Operator, server: Server, client: Client
) -> None:
    old = await operator.keep_one()
    new = await operator.rotate()
    tokens = await sign_in(client)
    await operator.move(new, "created_at", "5 minutes 50 seconds")
    await operator.keys("advance")
    assert await operator.states() == {old: "active", new: "pending"}
    await operator.move(new, "created_at", "6 minutes")
    await operator.keys("advance")
    assert await operator.states() == {old: "retired", new: "active"}
    await eventually(all_sign_with, server, tokens, new, seconds=SOON)
    assert kid_of(tokens["access_token"]) == old
    assert await statuses(server, tokens["access_token"]) == {200}


async def test_a_retired_key_goes_after_twelve_minutes(operator: Operator, server: Server, client: Client) -> None:
    old = await operator.keep_one()
    tokens = await sign_in(client)
    new = await operator.rotate()
    await operator.move(new, "created_at", "6 minutes")
    await operator.keys("advance")
    await operator.move(old, "retired_at", "11 minutes 50 seconds")
    await operator.keys("advance")
    assert await operator.states() == {old: "retired", new: "active"}
    await operator.move(old, "retired_at", "12 minutes")
    await operator.keys("advance")
    await eventually(all_publish, server, {new}, seconds=SOON)
    await eventually(all_answer, server, tokens["access_token"], 401, seconds=SOON)


async def test_the_tokens_of_a_revoked_key_are_refused_within_seconds_and_nobody_is_signed_out(
    operator: Operator, server: Server, client: Client
) -> None:
    stolen = await operator.keep_one()
    tokens = await sign_in(client)
    assert await operator.keys("revoke", stolen) == f"revoked: {stolen}"
    await eventually(all_answer, server, tokens["access_token"], 401, seconds=SOON)
    newer = await client.rotate(tokens["refresh_token"])
    assert await operator.states() == {kid_of(newer["access_token"]): "active"}
    assert await statuses(server, newer["access_token"]) == {200}


async def test_at_a_gateway_too_a_revoked_key_is_over_and_a_new_one_good_in_every_process(
    operator: Operator, server: Server, client: Client
) -> None:
    stolen = await operator.keep_one()
    await eventually(all_publish, server, {stolen}, seconds=SOON)  # and nobody signs with the key of another test
    tokens = await sign_in(client)
    assert await verdicts(server, tokens["access_token"]) == {200}  # every process has it in memory now
    await operator.keys("revoke", stolen)
    await eventually(all_refuse_at_the_gateway, server, tokens["access_token"], seconds=SOON)
    newer = await client.rotate(tokens["refresh_token"])
    assert await verdicts(server, newer["access_token"]) == {200}


async def test_a_process_that_has_not_heard_of_a_new_key_waits_for_the_news_and_refuses_nobody(
    operator: Operator, client: Client, tmp_path: Path
) -> None:
    stolen, tokens = await operator.keep_one(), await sign_in(client)
    with Server(operator.env, tmp_path) as late:
        late.wait_ready(60)
        process = psutil.Process(late.pid)
        process.suspend()
        try:
            await operator.keys("revoke", stolen)
            await eventually(signs_anew, client, tokens, stolen, seconds=SOON)
            newer = await client.rotate(tokens["refresh_token"])
            asked = asyncio.create_task(verdicts(late, newer["access_token"]))
            done, _ = await asyncio.wait({asked}, timeout=0.5)  # the question stands at its door
            assert not done
        finally:
            process.resume()
        assert await asked == {200}
        assert await verdicts(late, newer["access_token"]) == {200}


async def signs_anew(client: Client, tokens: dict[str, Any], old: str) -> bool:
    return kid_of((await client.rotate(tokens["refresh_token"]))["access_token"]) != old


async def verdicts(server: Server, access_token: str) -> set[int]:
    headers = {"Authorization": f"Bearer {access_token}", "X-Internal-Token": INTERNAL}
    answers = await everywhere(server, lambda client: client.get("/internal/verify", headers=headers))
    return {answer.status_code for answer in answers}


async def all_refuse_at_the_gateway(server: Server, access_token: str) -> bool:
    return await verdicts(server, access_token) == {401}


async def test_a_revoked_key_is_replaced_by_the_one_that_is_published_already(
    operator: Operator, server: Server, client: Client
) -> None:
    stolen, tokens = await operator.keep_one(), await sign_in(client)
    successor = await operator.rotate()
    await operator.keys("revoke", stolen)
    assert await operator.states() == {successor: "active"}
    await eventually(all_sign_with, server, tokens, successor, seconds=SOON)


@pytest.mark.parametrize("kid", ["unknown", "-begins-with-a-hyphen", "--begins-with-two"])
async def test_a_key_that_does_not_exist_cannot_be_revoked(operator: Operator, kid: str) -> None:
    refused = await asyncio.to_thread(operator.run, "revoke", kid)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == ["Error: There is no such key; 'auth-service keys list' shows all keys."]


async def test_continuous_traffic_through_a_full_rotation_by_the_schedule_sees_only_200(
    operator: Operator, server: Server
) -> None:
    old = await operator.keep_one()
    async with Traffic([server.base_url]) as traffic:
        new = await operator.rotate()
        await eventually(all_publish, server, {old, new}, seconds=SOON)
        await operator.move(new, "created_at", "6 minutes")
        await eventually(clients_hold, traffic, new, seconds=45)
        await operator.move(old, "retired_at", "12 minutes")
        await operator.keys("advance")
        await eventually(all_publish, server, {new}, seconds=SOON)
        await traffic.goes_on()
    assert traffic.statuses == {200}


async def clients_hold(traffic: Traffic, kid: str) -> bool:
    """Every client has an access token that this key signed."""
    return {kid_of(tokens["access_token"]) for tokens in traffic.tokens} == {kid}


async def test_a_key_of_ninety_days_is_replaced_by_itself_unless_that_is_switched_off(
    postgres_url: str, tmp_path: Path
) -> None:
    operator = Operator(postgres_url, tmp_path)
    (tmp_path / "key.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    kid = (await operator.keys("import", "key.pem")).removeprefix("published: ")
    await operator.move(kid, "created_at", "6 minutes")
    await operator.keys("advance")
    await operator.move(kid, "activated_at", "90 days")
    assert await operator.keys("advance", AUTH_KEYS__ROTATION_INTERVAL="0") == ""
    assert await operator.states() == {kid: "active"}
    assert await operator.keys("advance") == "add"
    assert sorted((await operator.states()).values()) == ["active", "pending"]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


async def test_a_key_made_with_openssl_is_imported_and_signs(
    operator: Operator, server: Server, client: Client
) -> None:
    old, tokens = await operator.keep_one(), await sign_in(client)
    file = operator.folder / "made-elsewhere.pem"
    made = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", str(file)]
    await asyncio.to_thread(lambda: subprocess.run(made, check=True))
    kid = (await operator.keys("import", str(file))).removeprefix("published: ")
    await eventually(all_publish, server, {old, kid}, seconds=SOON)
    await operator.move(kid, "created_at", "6 minutes")
    await operator.keys("advance")
    await eventually(all_sign_with, server, tokens, kid, seconds=SOON)
    again = await asyncio.to_thread(operator.run, "import", str(file))
    assert again.returncode == 1
    assert again.stderr.splitlines() == ["Error: This key is already stored; nothing was changed."]


UNUSABLE: dict[str, Callable[[], bytes]] = {
    "rsa": lambda: pem(rsa.generate_private_key(65537, 2048)),
    "encrypted": lambda: pem(ec.generate_private_key(ec.SECP256R1()), b"a password"),
    "another curve": lambda: pem(ec.generate_private_key(ec.SECP384R1())),
    "a public key": lambda: (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    ),
    "garbage": lambda: b"\x00\xff no key at all",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_a_file_without_a_usable_key_is_refused_in_one_line(
    operator: Operator, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "key.pem").write_bytes(UNUSABLE[kind]())
    refused = await asyncio.to_thread(operator.run, "import", str(tmp_path / "key.pem"))
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == ["Error: file: Must be an unencrypted P-256 private key in PEM format."]
