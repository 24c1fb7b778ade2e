"""Every answer carries the security headers. `conftest.py` and `assert_problem` hold the other tests here to that."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.document import document
from tests.support.headers import assert_security_headers
from tests.support.raw_http import exchange
from tests.support.server import Server

HOST = b"Host: auth.example\r\n"


@pytest.mark.parametrize(
    ("path", "method"), [(path, method) for path, found in document()["paths"].items() for method in found]
)
async def test_every_route_answers_with_the_security_headers(client: Client, path: str, method: str) -> None:
    arguments: dict[str, Any] = {"json": {}} if method == "post" else {}
    assert_security_headers((await client.request(method, path, **arguments)).headers)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
        b"TRACE /auth/login HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\n" + HOST + b"Content-Length: 99999\r\n\r\n",
        b"GET /.well-known/jwks.json HTTP/1.1\r\n" + HOST + b"If-None-Match: *\r\n\r\n",
    ],
    ids=["garbage", "200", "TRACE", "404", "431", "413", "304"],
)
def test_every_answer_of_a_real_server_has_the_security_headers(server: Server, request_bytes: bytes) -> None:
    assert_security_headers(exchange(server.port, request_bytes).headers)


@pytest.mark.parametrize("path", ["/problems/not-found", "/nowhere", "/auth/pages/reset-password"])
async def test_a_page_may_have_its_own_style_and_nothing_that_it_holds_may_run(client: Client, path: str) -> None:
    page = await client.get(path, headers={"Accept": "text/html"})
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    own = b64encode(sha256(style.encode()).digest()).decode()
    scripts = "script-src 'self'; connect-src 'self'; " if "<script" in page.text else ""
    assert_security_headers(
        page.headers,
        f"default-src 'none'; {scripts}style-src 'sha256-{own}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    )
    assert "style=" not in page.text


async def test_an_answer_that_has_a_cache_control_of_its_own_keeps_it(client: Client) -> None:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers.get_list("cache-control") == ["public, max-age=300"]


async def test_the_page_of_the_documentation_may_run_its_own_script_and_no_other(client: Client) -> None:
    page = await client.get("/docs")
    assert re.findall(r"<script>|<style|style=|onclick", page.text) == []
    assert_security_headers(
        page.headers,
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    for path in ("/openapi.json", "/docs/page.js", "/docs/assets/swagger-ui.css"):
        assert_security_headers((await client.get(path)).headers)
