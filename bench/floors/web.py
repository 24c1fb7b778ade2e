"""Bare Starlette: a route that says hello; a refresh, the second step of a login, and a sign-in with a passkey, each of
one raw statement and one ES256 signature; the last one verifies such a signature too.

Nothing is checked that the statement does not check, nothing is logged, and no answer but a 200 is thought of.
"""

import base64
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jws
from jose.backends.cryptography_backend import CryptographyECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

from bench.floors.rotation import PREPARED, token
from bench.floors.second_step import OPEN, OPEN_BY_PASSKEY, passkey_values_of, values_of
from bench.passkey_accounts import KEY as PASSKEY_KEY

KEY = CryptographyECKey(ec.generate_private_key(ec.SECP256R1()), "ES256")
PASSKEY = PASSKEY_KEY.public_key()
IDLE = timedelta(days=14)
GRACE = timedelta(0)


async def _no_reset(_connection: object) -> None:
    """asyncpg's pool would send a second statement at each release."""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    size = int(os.environ["POOL_SIZE"])
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=size, reset=_no_reset) as pool:
        app.state.pool = pool
        yield


async def hello(_request: Request) -> Response:
    return Response(b"hello", media_type="text/plain")


async def refresh(request: Request) -> Response:
    secret, generation = json.loads(await request.body())["refresh_token"].split(".")
    digest = hashlib.sha256(bytes.fromhex(secret)).digest()
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(PREPARED, int(generation), digest, IDLE, GRACE)
    return _tokens(row, token(int(secret, 16), row["generation"]))


async def second_step(request: Request) -> Response:
    secret, values = os.urandom(32), values_of(json.loads(await request.body())["challenge"])
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(OPEN, uuid7(), hashlib.sha256(secret).digest(), *values)
    return _tokens(row, base64.urlsafe_b64encode(secret).decode())


async def options(request: Request) -> Response:
    assert json.loads(await request.body()) == {}
    return JSONResponse({"challenge": "x" * 87, "public_key": {"challenge": "x" * 116, "rpId": "x" * 12}})


async def passkey(request: Request) -> Response:
    body = json.loads(await request.body())
    said = {name: _decoded(value) for name, value in body["credential"]["response"].items()}
    signed = said["authenticatorData"] + hashlib.sha256(said["clientDataJSON"]).digest()
    PASSKEY.verify(said["signature"], signed, ec.ECDSA(hashes.SHA256()))
    secret, values = os.urandom(32), passkey_values_of(body["challenge"], UUID(bytes=said["userHandle"][:16]))
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(OPEN_BY_PASSKEY, uuid7(), hashlib.sha256(secret).digest(), *values)
    return _tokens(row, base64.urlsafe_b64encode(secret).decode())


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _tokens(row: Any, refresh_token: str) -> Response:
    return JSONResponse(
        {
            "access_token": _access_token(row),
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": refresh_token,
            "refresh_expires_in": 1_209_600,
            "session_id": str(row["id"]),
        }
    )


def _access_token(row: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "http://127.0.0.1:8000",
        "aud": "http://127.0.0.1:8000",
        "sub": str(row["user_id"]),
        "client_id": "first-party",
        "sid": str(row["id"]),
        "jti": str(uuid4()),
        "iat": now,
        "exp": now + 300,
        "roles": [row["role"]],
    }
    signed: str = jws.sign(claims, KEY, headers={"typ": "at+jwt", "kid": "floor"}, algorithm="ES256")
    return signed


app = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/refresh", refresh, methods=["POST"]),
        Route("/second-factor", second_step, methods=["POST"]),
        Route("/options", options, methods=["POST"]),
        Route("/passkey", passkey, methods=["POST"]),
    ],
    lifespan=lifespan,
)
