"""HEAD is answered wherever GET is: with the same status and headers, and without a body."""

import http.client
import re
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.client import Client
from tests.support.document import document
from tests.support.raw_http import exchange
from tests.support.server import Server, wait_until

UNDOCUMENTED = (
    "/docs", "/docs/assets/swagger-ui.css", "/openapi.json", "/problems/not-found", "/auth/pages/reset-password",
    "/.well-known/oauth-authorization-server/x", "/nowhere", "/auth/login", "/auth/login/",
)  # fmt: skip
PATHS = sorted({path for path, operations in document()["paths"].items() if "get" in operations} | {*UNDOCUMENTED})
# What changes: the time, the framing of a body that is none, and the length of what counts.
CHANGING = {"date", "transfer-encoding"}
COUNTING = {"/metrics": {"content-length"}, "/auth/me/export": {"content-length"}}


@pytest.fixture
async def token(server_client: Client) -> str:
    await server_client.register("head@example.com")
    token: str = (await server_client.sign_in("head@example.com"))["access_token"]
    return token


@pytest.fixture
def kept(server: Server) -> Iterator[http.client.HTTPConnection]:
    """One connection for all: a body that nobody expects would be taken for the next answer."""
    opened = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    yield opened
    opened.close()


def ask(kept: http.client.HTTPConnection, method: str, path: str, token: str | None) -> tuple[int, dict[str, str], int]:
    """The status, the headers, and the bytes of the body."""
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    kept.request(method, path, headers={"X-Request-ID": "same", **bearer})
    answer = kept.getresponse()
    changing = CHANGING | COUNTING.get(path, set())
    headers = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in changing}
    return answer.status, headers, len(answer.read())


@pytest.mark.parametrize("path", PATHS)
async def test_head_tells_what_get_tells_and_has_no_body(
    kept: http.client.HTTPConnection, token: str, path: str
) -> None:
    path = re.sub(r"{\w+}", str(uuid4()), path)
    for bearer in (token, None):
        status, headers, size = ask(kept, "GET", path, bearer)
        assert ask(kept, "HEAD", path, bearer) == (status, headers, 0)
        assert size == int(headers.get("content-length", size))


async def test_head_is_answered_where_monitors_and_caches_ask(kept: http.client.HTTPConnection, token: str) -> None:
    for path in (
        "/health/live", "/health/ready", "/health/db", "/auth/me", "/.well-known/jwks.json", "/internal/verify",
        "/internal/revocations", "/metrics", "/docs", "/problems/not-found",
    ):  # fmt: skip
        status, headers, size = ask(kept, "HEAD", path, token)
        assert (status, size) == (200, 0)
        assert path == "/metrics" or int(headers["content-length"]) > 0 or path == "/internal/verify"


def test_the_keys_are_a_304_for_head_too(server: Server) -> None:
    head = b"HEAD /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n"
    etag = exchange(server.port, head + b"\r\n").headers["etag"].encode()
    assert exchange(server.port, head + b"If-None-Match: " + etag + b"\r\n\r\n").status == 304


def test_the_line_of_the_log_has_the_method_and_the_route(server: Server) -> None:
    line = b"HEAD /problems/not-found HTTP/1.1\r\nHost: x\r\nX-Request-ID: by-head\r\n\r\n"
    assert exchange(server.port, line).status == 200
    wait_until(lambda: "by-head" in server.log(), 10, server.log)  # it is written after the answer
    [told] = [line for line in server.log().splitlines() if "by-head" in line]
    assert '"HEAD"' in told
    assert "/problems/{code}" in told
