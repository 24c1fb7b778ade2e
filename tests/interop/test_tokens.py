"""Our access tokens, read by other people's libraries from the key set over HTTP, before and after a key rotation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.interop.node import HAS_NODE, needs_node, reader
from tests.support.claims import runs
from tests.support.client import Client
from tests.support.keys import Issuer, all_sign_with
from tests.support.polling import eventually
from tests.support.stand_in import INTERNAL_TOKEN
from tests.support.traffic import kid_of

Read = Callable[[str], Awaitable[dict[str, Any]]]
CLAIMS = {"iss", "aud", "sub", "sid", "client_id", "roles", "jti", "iat", "exp", "auth_time", "acr", "amr"}


async def start_pyjwt(place: Issuer, _stack: AsyncExitStack, _request: pytest.FixtureRequest) -> Read:
    """PyJWT's own client for key sets, which keeps them and looks again for a key that it does not know."""
    keys = jwt.PyJWKClient(f"{place.url}/.well-known/jwks.json", cooldown_duration=1)

    def read(token: str) -> dict[str, Any]:
        try:
            key = keys.get_signing_key_from_jwt(token)
            return jwt.decode(token, key, ["ES256"], audience=place.url, issuer=place.url)
        except jwt.PyJWTError as error:
            return {"refused": str(error)}

    return lambda token: asyncio.to_thread(read, token)


async def start_joserfc(place: Issuer, stack: AsyncExitStack, _request: pytest.FixtureRequest) -> Read:
    http = await stack.enter_async_context(httpx.AsyncClient(base_url=place.url, trust_env=False))
    registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": place.url},
        aud={"essential": True, "value": place.url},
        exp={"essential": True},
    )

    async def read(token: str) -> dict[str, Any]:
        keys = KeySet.import_key_set((await http.get("/.well-known/jwks.json")).json())
        try:
            found = joserfc_jwt.decode(token, keys, algorithms=["ES256"])
            registry.validate(found.claims)
        except (JoseError, ValueError) as error:
            return {"refused": str(error)}
        return found.claims

    return read


async def start_node(place: Issuer, stack: AsyncExitStack, request: pytest.FixtureRequest) -> Read:
    """The snippet of docs/verifying.md, with `jose`, in a process that lives as long as the test."""
    folder: Path = request.getfixturevalue("node")
    urls = {"AUTH_PUBLIC_URL": place.url, "INTERNAL_AUTH_URL": place.url}
    return (await stack.enter_async_context(reader(folder, {**urls, "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN}))).read


READERS: dict[str, Callable[[Issuer, AsyncExitStack, pytest.FixtureRequest], Awaitable[Read]]] = {
    "PyJWT": start_pyjwt,
    "joserfc": start_joserfc,
    "jose": start_node,
}


@pytest.fixture
async def reads(
    request: pytest.FixtureRequest, place: Issuer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Read]]:
    """Each library, started; without Node, those in Python."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with AsyncExitStack() as stack:
        names = [name for name in READERS if name != "jose" or HAS_NODE]
        yield {name: await READERS[name](place, stack, request) for name in names}


async def signed_in(client: Client) -> dict[str, Any]:
    email = f"{uuid4().hex}@example.com"
    (await client.register(email)).raise_for_status()
    return await client.sign_in(email)


async def is_read(read: Read, token: str) -> bool:
    return set(await read(token)) == CLAIMS


async def is_refused(read: Read, token: str) -> bool:
    return set(await read(token)) == {"refused"}


async def test_other_libraries_read_our_tokens_before_and_after_a_key_rotation(
    reads: dict[str, Read], place: Issuer, client: Client
) -> None:
    operator, tokens = place.operator, await signed_in(client)
    before = tokens["access_token"]
    old = await operator.keep_one()
    for name, read in reads.items():
        assert (await read(before)).get("sid") == tokens["session_id"], name
    new = await operator.rotate()
    await operator.move(new, "created_at", "6 minutes")
    await operator.keys("advance")
    await eventually(all_sign_with, place.server, tokens, new)
    after = (await client.rotate(tokens["refresh_token"]))["access_token"]
    assert (kid_of(before), kid_of(after)) == (old, new)
    for name, read in reads.items():
        await eventually(is_read, read, after)  # a library may take a second before it asks for the keys again
        assert await is_read(read, before), name


async def test_other_libraries_refuse_what_we_did_not_sign(reads: dict[str, Read], client: Client) -> None:
    good, other = (await signed_in(client))["access_token"], (await signed_in(client))["access_token"]
    content, signature = good.rpartition(".")[0], other.rpartition(".")[2]
    for name, read in reads.items():
        assert await is_read(read, good), name
        assert await is_refused(read, f"{content}.{signature}"), name


@needs_node
@runs("docs/verifying.md", "run: node")
async def test_the_snippet_for_node_sees_a_logout(reads: dict[str, Read], client: Client) -> None:
    read, tokens, other = reads["jose"], await signed_in(client), await signed_in(client)
    assert await is_read(read, tokens["access_token"])
    await client.logout(tokens["refresh_token"])
    await eventually(is_refused, read, tokens["access_token"])
    assert await is_read(read, other["access_token"])
