"""Our metadata document (RFC 8414), read by other people's OAuth clients."""

import asyncio
from pathlib import Path
from uuid import uuid4

import httpx
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

from tests.conftest import environment
from tests.interop.node import needs_node, run
from tests.support.client import Client
from tests.support.keys import Issuer
from tests.support.server import Server

PUBLIC_URL = "https://auth.example.com"
# RFC 8414 asks for both, wherever there is a grant. Here is none: people sign in by `/auth/login`.
NOT_FOR_US = {"token_endpoint", "response_types_supported"}


def is_valid(metadata: AuthorizationServerMetadata, field: str) -> bool:
    try:
        getattr(metadata, f"validate_{field}")()
    except ValueError:
        return False
    return True


async def test_authlib_finds_our_metadata_and_all_of_it_valid_but_what_is_for_grants(tmp_path: Path) -> None:
    env = environment(f"sqlite+aiosqlite:///{tmp_path}/auth.db", AUTH_PUBLIC_URL=PUBLIC_URL)
    with Server(env, tmp_path) as server:
        await asyncio.to_thread(server.wait_ready)
        async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as http:
            path = get_well_known_url(PUBLIC_URL, external=False)
            metadata = AuthorizationServerMetadata((await http.get(path)).json())
            assert metadata["issuer"] == PUBLIC_URL
            assert {field for field in metadata.REGISTRY_KEYS if not is_valid(metadata, field)} == NOT_FOR_US
            keys = (await http.get(metadata["jwks_uri"].removeprefix(PUBLIC_URL))).json()["keys"]
    assert keys


@needs_node
async def test_a_client_that_knows_the_issuer_alone_finds_the_way_to_revoke_a_token(
    place: Issuer, client: Client, node: Path
) -> None:
    email = f"{uuid4().hex}@example.com"
    await client.register(email)
    tokens = await client.sign_in(email)
    metadata = await run(node, "metadata.mjs", place.url, tokens["refresh_token"])
    assert metadata["issuer"] == place.url
    assert metadata["revocation_endpoint"] == f"{place.url}/auth/revoke"
    assert (await client.refresh(tokens["refresh_token"])).status_code == 401
