"""The OpenAPI document, and the page that shows it without the internet.

That every answer is documented is checked on each of them, see `conftest.py`.
"""

import gc
import json
import re
import weakref
from pathlib import Path
from typing import Any

import pytest

from auth_service.main import create_app
from tests.conftest import MakeClient, environment, make_settings
from tests.support.client import Client
from tests.support.document import document, operations, resolved
from tests.support.problems import assert_problem
from tests.support.server import run_command

PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}  # the members of each (RFC 9457)


async def test_the_docs_page_and_all_that_it_loads_come_from_the_service(client: Client) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text  # neither https:// nor a URL that starts with //
    loaded = re.findall(r"""(?:src|href)="([^"]+)""", page.text)
    assert len(loaded) == 5
    for path in loaded:
        asset = await client.get(f"/{path}")
        assert asset.status_code == 200
        assert asset.content
    script = (await client.get("/docs/page.js")).text
    assert re.findall(r"""["'`](https?:|//)""", script) == []
    (described,) = re.findall(r"""fetch\("([^"]+)""", script)
    assert (await client.get(f"/{described}")).json() == document()


async def test_the_docs_are_off_on_postgresql_unless_they_are_asked_for(
    make_client: MakeClient, postgres_url: str
) -> None:
    paths = ("/docs", "/openapi.json", "/docs/page.js", "/docs/assets/swagger-ui.css", "/redoc")
    closed = await make_client(postgres_url)
    for path in paths:
        assert_problem(await closed.get(path), 404, "not-found")
    opened = await make_client(postgres_url, docs={"enabled": True})
    assert [(await opened.get(path)).status_code for path in paths] == [200, 200, 200, 200, 404]


async def test_the_docs_can_be_turned_off_on_sqlite(make_client: MakeClient) -> None:
    client = await make_client(docs={"enabled": False})
    assert_problem(await client.get("/docs"), 404, "not-found")


def test_the_command_prints_the_document_that_the_service_serves(tmp_path: Path) -> None:
    done = run_command("openapi", env=environment("sqlite+aiosqlite://"), cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout) == document()
    assert list(tmp_path.iterdir()) == []  # a look at the document makes no database


def test_the_document_lists_the_routes_as_they_are_declared_and_not_as_they_are_tried() -> None:
    assert list(document()["paths"])[:2] == ["/auth/register", "/auth/me"]


def test_every_reference_in_the_document_leads_somewhere_and_nothing_is_left_over() -> None:
    referred = re.findall(r'"#/components/(\w+)/([\w.-]+)"', json.dumps(document()))
    components = {kind: set(found) for kind, found in document()["components"].items() if kind != "securitySchemes"}
    assert {kind: {name for of, name in referred if of == kind} for kind, _ in referred} == components


@pytest.mark.parametrize(("path", "method"), [(path, method) for path, method, _ in operations()])
def test_every_operation_says_what_it_does_and_which_problems_it_can_answer_with(path: str, method: str) -> None:
    operation: dict[str, Any] = document()["paths"][path][method]
    assert operation["summary"]
    assert operation["description"]
    assert {"400", "413", "431", "500"} <= set(operation["responses"])
    for status, found in operation["responses"].items():
        response = resolved(found)
        assert response["description"]
        if int(status) >= 400:
            schema = response["content"]["application/problem+json"]["schema"]
            told = {one["$ref"].rpartition("/")[2] for one in schema.get("anyOf", [schema])}
            assert all(document()["components"]["schemas"][name]["properties"].keys() >= PROBLEM for name in told)
            assert set(response["content"]) == {"application/problem+json"}


def test_the_document_holds_no_secret_and_no_path_of_the_machine() -> None:
    text = json.dumps(document())
    assert "HTTPValidationError" not in text
    assert str(Path.cwd()) not in text


def test_an_app_that_is_no_longer_used_is_not_kept() -> None:
    app = weakref.ref(create_app(make_settings("sqlite+aiosqlite://")))
    gc.collect()
    assert app() is None
