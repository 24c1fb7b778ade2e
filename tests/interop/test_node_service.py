"""The Node service of docs/verifying.md, with a real auth service that has outages, and with a wrong internal token."""

import asyncio
import base64
import json
import os
import re
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from auth_service.testing.kit import AuthKit
from tests.interop.node import needs_node
from tests.support.claims import runs
from tests.support.client import Client
from tests.support.forge import part
from tests.support.keys import Issuer
from tests.support.polling import eventually
from tests.support.server import free_port
from tests.support.stand_in import INTERNAL_TOKEN, StandIn
from tests.support.tcp_proxy import TcpProxy
from tests.support.verifiers import SPELLINGS

# Node 18, Debian's, has `crypto` for everybody under this option alone.
OPTIONS = "--experimental-global-webcrypto"


class Orders:
    """The service of the page in a process of its own."""

    def __init__(self, process: Process, http: httpx.AsyncClient) -> None:
        self.process, self.http = process, http

    async def ask(self, token: str) -> tuple[int, dict[str, str]]:
        """Return the status and the headers that a client goes by."""
        answer = await self.http.get("/orders", headers={"Authorization": f"Bearer {token}"})
        told = ("www-authenticate", "retry-after")
        return answer.status_code, {name: answer.headers[name] for name in told if name in answer.headers}

    async def is_up(self) -> bool:
        try:
            await self.http.get("/orders")
        except httpx.TransportError:
            return self.process.returncode is not None
        return True

    async def answers(self, token: str, status: int) -> bool:
        return (await self.ask(token))[0] == status


OK: tuple[int, dict[str, str]] = (200, {})
INVALID = (401, {"www-authenticate": 'Bearer error="invalid_token"'})
UNKNOWN = (503, {"retry-after": "1"})


@asynccontextmanager
async def orders(
    folder: Path, place: Issuer | str, service: str, internal_token: str = INTERNAL_TOKEN
) -> AsyncIterator[Orders]:
    port = free_port()
    env = {
        "AUTH_PUBLIC_URL": place if isinstance(place, str) else f"{place.url}/",
        "INTERNAL_AUTH_URL": service,
        "AUTH_INTERNAL_TOKEN": internal_token,
    }
    env |= {"PATH": os.environ["PATH"], "PORT": str(port), "NODE_OPTIONS": OPTIONS}
    process = await asyncio.create_subprocess_exec(
        "node", "server.mjs", cwd=folder, env=env, stdout=PIPE, stderr=STDOUT
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as http:
            found = Orders(process, http)
            await eventually(found.is_up, seconds=30)
            yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def signed_in(client: Client) -> dict[str, str]:
    email = f"{uuid4().hex}@example.com"
    (await client.register(email)).raise_for_status()
    tokens: dict[str, str] = await client.sign_in(email)
    return tokens


@needs_node
@runs("docs/verifying.md", "run: node", "run: node server")
async def test_it_lets_users_in_and_nobody_else_and_sees_a_logout(node: Path, place: Issuer, client: Client) -> None:
    tokens, other = await signed_in(client), await signed_in(client)
    good = tokens["access_token"]
    async with orders(node, place, place.url) as service:
        assert await service.ask(good) == OK
        for bad in (good[:-8] + "AAAAAAAA", tokens["refresh_token"], "x", "a.b.c"):
            assert await service.ask(bad) == INVALID, bad
        await client.logout(tokens["refresh_token"])
        await eventually(service.answers, good, 401)
        assert await service.ask(good) == INVALID
        assert await service.ask(other["access_token"]) == OK


@needs_node
async def test_an_outage_is_no_401_and_lets_in_nobody_who_is_out(node: Path, place: Issuer, client: Client) -> None:
    known, ended = await signed_in(client), await signed_in(client)
    with TcpProxy(place.server.port) as proxy:
        async with orders(node, place, f"http://127.0.0.1:{proxy.port}") as service:
            assert await service.ask(known["access_token"]) == OK
            await client.logout(ended["refresh_token"])
            await eventually(service.answers, ended["access_token"], 401)
            await asyncio.sleep(1.1)  # the key set may be asked for again after a second
            for fault in (proxy.refuse, proxy.silence):
                fault()
                proxy.reset()
                assert await service.ask(known["access_token"]) == OK
                assert await service.ask(ended["access_token"]) == INVALID
                assert await service.ask(known["access_token"][:-8] + "AAAAAAAA") == INVALID
                assert await service.ask(of_another_key(known["access_token"])) == UNKNOWN
            proxy.pass_through()
            await eventually(service.answers, of_another_key(known["access_token"]), 401)


def of_another_key(token: str) -> str:
    """The token as one of a key that is not known here."""
    header = json.dumps(part(token, 0) | {"kid": "new"}).encode()
    return base64.urlsafe_b64encode(header).decode().rstrip("=") + "." + token.partition(".")[2]


@needs_node
async def test_a_start_in_an_outage_answers_503_until_it_knows(node: Path, place: Issuer, client: Client) -> None:
    tokens = await signed_in(client)
    with TcpProxy(place.server.port) as proxy:
        proxy.refuse()
        async with orders(node, place, f"http://127.0.0.1:{proxy.port}") as service:
            assert await service.ask(tokens["access_token"]) == UNKNOWN
            proxy.pass_through()
            await eventually(service.answers, tokens["access_token"], 200, seconds=30)


@needs_node
async def test_with_a_wrong_internal_token_it_does_not_start_or_says_so(
    node: Path, place: Issuer, client: Client
) -> None:
    tokens = await signed_in(client)
    async with orders(node, place, place.url, "wrong" * 4) as service:
        told, _ = await service.process.communicate()
        assert service.process.returncode not in (0, None)
        assert b"the auth service refuses AUTH_INTERNAL_TOKEN" in told
    with TcpProxy(place.server.port) as proxy:
        proxy.refuse()
        async with orders(node, place, f"http://127.0.0.1:{proxy.port}", "wrong" * 4) as service:
            proxy.pass_through()
            assert service.process.stdout
            while b"refuses AUTH_INTERNAL_TOKEN" not in await asyncio.wait_for(service.process.stdout.readline(), 30):
                pass
            assert await service.ask(tokens["access_token"]) == UNKNOWN


@needs_node
async def test_a_url_that_is_none_ends_the_start(node: Path, place: Issuer) -> None:
    async def started(public: str, internal: str) -> str:
        async with orders(node, public, internal) as running:
            if running.process.returncode is None:
                return "started"
            told, _ = await running.process.communicate()
            return told.decode()

    wrong = (
        "", "auth:8000", "ftp://auth", "https:auth", "http://", "http://a..b", "http://auth :8000", "http://auth:0",
        "http://auth:", "http://auth:80000", "http://u:p@auth", "http://auth?x", "http://auth/#x",
        "http://b%C3%BC.example", "http://<host>", "http://auth/a/../b", "http://auth\\\\x",
    )  # fmt: skip
    pairs = [*((place.url, url) for url in wrong), *((url, place.url) for url in wrong)]
    told = await asyncio.gather(*(started(*pair) for pair in pairs))
    refused = [bool(re.search(r"Invalid URL|must be a URL", text)) for text in told]
    assert refused == [True] * len(pairs), list(zip(pairs, told, strict=True))


@needs_node
async def test_the_issuer_may_be_written_in_any_spelling_of_its_url(node: Path) -> None:
    kit = AuthKit(SPELLINGS[0])
    good, other = kit.token(), kit.token(iss="https://bucher.example/auth")

    async def judged(spelled: str, service: str) -> list[tuple[int, dict[str, str]]]:
        async with orders(node, spelled, service) as running:
            return [await running.ask(good), await running.ask(other)]

    with StandIn(kit) as stand_in:
        spelled_so = zip(SPELLINGS, (stand_in.url + "/" * (n % 3) + "\n" for n in range(9)), strict=False)
        found = await asyncio.gather(*(judged(*names) for names in spelled_so))
    assert found == [[OK, INVALID]] * len(SPELLINGS)
