"""Fixtures for the HTTP edge: every answer is held to the OpenAPI document, and a real server for what needs a socket.

The app runs on a SQLite file, as the database does not matter here; tests for which it does name another.
"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from auth_service.api.schemas.problems import ProblemDetails
from tests.conftest import MakeClient, environment
from tests.support.client import Client
from tests.support.document import document, resolved
from tests.support.headers import API_POLICY, assert_security_headers
from tests.support.server import Server

PROBLEM = "application/problem+json"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def make_client(make_client: MakeClient) -> MakeClient:
    """Start the app with the given settings; each answer that its client sees must be documented."""

    async def make(*arguments: Any, **groups: Any) -> Client:
        client = await make_client(*arguments, **groups)
        client.event_hooks["response"].append(_require_documented)
        return client

    return make


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database of the real server."""
    return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('server')}/auth.db"


@pytest.fixture(scope="session")
def server(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with default limits."""
    with Server(environment(server_url), tmp_path_factory.mktemp("cwd")) as running:
        running.wait_ready()
        yield running


@pytest.fixture
async def server_client(server: Server) -> AsyncIterator[Client]:
    async with Client(base_url=server.base_url) as client:
        yield client


async def _require_documented(answer: httpx.Response) -> None:
    """Fail on a status or a media type that the document lacks for its route, and on an answer without its headers."""
    await answer.aread()
    media_type = answer.headers.get("content-type", "")
    # A page has a policy of its own. A browser may have one of any problem: the document is for programs.
    is_page = media_type.startswith("text/html") or answer.request.url.path.startswith("/auth/pages/")
    assert_security_headers(answer.headers, answer.headers["content-security-policy"] if is_page else API_POLICY)
    if "text/html" in answer.request.headers["accept"].lower() and is_page:
        return
    if answer.status_code >= 400:
        assert media_type == PROBLEM, answer.text
        assert answer.request.method == "HEAD" or ProblemDetails.model_validate_json(answer.content)
    operation = _operation(answer.request)
    if operation:
        documented = operation["responses"].get(str(answer.status_code))
        assert documented, f"{answer.request.method} {answer.request.url.path}: {answer.status_code} is undocumented"
        assert not answer.content or media_type in resolved(documented)["content"]


def _operation(request: httpx.Request) -> dict[str, Any] | None:
    for template, operations in document()["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), request.url.path):
            found: dict[str, Any] | None = operations.get(request.method.lower())
            return found
    return None
