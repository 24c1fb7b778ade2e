"""OPTIONS tells what each path takes, as the Allow of a refusal does; and an answer without content describes none."""

import re
from uuid import uuid4

import pytest

from tests.support.client import Client
from tests.support.document import document
from tests.support.problems import assert_problem
from tests.support.raw_http import Answer, exchange
from tests.support.server import Server

PATHS = {path: {method.upper() for method in operations} for path, operations in document()["paths"].items()}
del PATHS["/internal/verify"]  # which answers every method
UNDOCUMENTED = ("/docs", "/docs/page.css", "/docs/assets/swagger-ui.css", "/openapi.json", "/", "/problems/not-found")


def ask(server: Server, method: str, target: str, *headers: str) -> Answer:
    lines = "".join(f"{line}\r\n" for line in ("Host: auth.example", *headers, "Connection: close"))
    return exchange(server.port, f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())


def allowed(answer: Answer) -> set[str]:
    return set(answer.headers["allow"].split(", "))


def test_each_path_tells_its_methods(server: Server) -> None:
    for path, methods in PATHS.items():
        answer = ask(server, "OPTIONS", re.sub(r"{\w+}", str(uuid4()), path))
        wanted = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        assert (path, answer.status, allowed(answer)) == (path, 204, wanted)


@pytest.mark.parametrize("path", UNDOCUMENTED)
def test_what_the_document_leaves_out_tells_them_too(server: Server, path: str) -> None:
    refused = ask(server, "PROPFIND", path)
    assert_problem(refused, 405, "method-not-allowed")
    assert allowed(refused) == allowed(ask(server, "OPTIONS", path)) == {"GET", "HEAD", "OPTIONS"}


def test_the_server_tells_all_that_it_knows_and_nothing_tells_of_what_is_not_there(server: Server) -> None:
    assert allowed(ask(server, "OPTIONS", "*")) == {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"}
    for target in ("/nowhere", "/auth/login/", "/auth"):
        assert_problem(ask(server, "OPTIONS", target), 404, "not-found")


@pytest.mark.parametrize("target", ["*", "/auth/login", "/nowhere", "/docs"])
def test_a_preflight_is_told_why_it_is_refused(server: Server, target: str) -> None:
    answer = ask(server, "OPTIONS", target, "Origin: https://a.test", "Access-Control-Request-Method: POST")
    assert_problem(answer, 403, "preflight-refused")
    assert "AUTH_CORS__ORIGINS" in answer.json()["detail"]


async def test_an_answer_without_content_describes_none(server: Server, server_client: Client) -> None:
    await server_client.register("empty@example.com")
    tokens = await server_client.sign_in("empty@example.com")
    bearer = f"Authorization: Bearer {tokens['access_token']}"
    etag = ask(server, "GET", "/.well-known/jwks.json").headers["etag"]
    cases = [
        ("OPTIONS", "*", (), 204),
        ("OPTIONS", "/auth/login", (), 204),
        ("GET", "/.well-known/jwks.json", (f"If-None-Match: {etag}",), 304),
        ("HEAD", "/.well-known/jwks.json", (f"If-None-Match: {etag}",), 304),
        ("DELETE", f"/auth/sessions/{tokens['session_id']}", (bearer,), 204),
    ]
    answers = [(ask(server, method, target, *more), status) for method, target, more, status in cases]
    logout = b'{"refresh_token": "x"}'
    head = b"POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n"
    for answer, status in [*answers, (exchange(server.port, head + logout), 204)]:
        assert (answer.status, answer.body) == (status, b"")
        assert not {name for name in answer.headers if name.startswith("content-") and name[8:] != "security-policy"}
        assert "transfer-encoding" not in answer.headers
