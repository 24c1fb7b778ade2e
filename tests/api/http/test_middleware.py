"""Around every request: its id, and limits on headers and bodies, whether their size is declared or not."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.support.client import Client
from tests.support.problems import assert_problem


@pytest.mark.parametrize("given", ["a", "0af7651916cd43dd8448eb211c80319c", "req_1.2-3", "x" * 128])
async def test_a_valid_request_id_is_kept(client: Client, given: str) -> None:
    answer = await client.get("/nowhere", headers={"X-Request-ID": given})
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", [b"", b"a b", b"x" * 129, b'"}', b"<script>", b"a\xe2\x80\xa8b", b"a\x85b", b"\x1b[31m", b"a\tb", b"a,b"]
)
async def test_an_invalid_request_id_is_replaced(client: Client, given: bytes) -> None:
    answer = await client.get("/nowhere", headers={b"X-Request-ID": given})
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    UUID(answer.headers["x-request-id"])


async def test_a_successful_answer_carries_the_request_id_too(client: Client) -> None:
    answer = await client.get("/health/live", headers={"X-Request-ID": "mine"})
    assert answer.headers["x-request-id"] == "mine"


async def test_a_body_of_exactly_16_kib_is_read_and_one_byte_more_is_not(client: Client) -> None:
    headers = {"Content-Type": "application/json"}
    full = b'{"refresh_token": "%s"}' % (b"x" * (16 * 1024 - 20))
    assert len(full) == 16 * 1024 + 1
    assert_problem(await client.post("/auth/refresh", content=full, headers=headers), 413, "body-too-large")
    fits = full.replace(b"x", b"", 1)
    assert_problem(await client.post("/auth/refresh", content=fits, headers=headers), 401, "invalid-refresh-token")


async def test_a_chunked_body_without_a_length_is_refused_where_it_gets_too_long(client: Client) -> None:
    sent = 0

    async def long() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1_000_000:
            sent += 1024
            yield b"[" * 1024

    headers = {"Content-Type": "application/json"}
    answer = await client.post("/auth/login", content=long(), headers=headers)
    assert_problem(answer, 413, "body-too-large")
    assert sent <= 18 * 1024
