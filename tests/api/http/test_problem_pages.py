"""Whoever opens a URL in a browser sees a problem as a page; programs get JSON, as ever."""

from html import unescape
from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.headers import assert_security_headers
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8"
)
SAFARI = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"  # by HttpURLConnection, unless it is told otherwise
BROWSER = {"Accept": CHROMIUM}
APPLICATION = {"name": "Acme & <Sons> $5"}

# What a browser asks for by itself, and the problem that it gets.
OPENED: list[tuple[int, str, str, str, dict[str, Any]]] = [
    (401, "missing-access-token", "GET", "/auth/me", {}),
    (404, "not-found", "GET", "/nowhere", {}),
    (404, "not-found", "HEAD", "/nowhere", {}),
    (404, "not-found", "GET", "/auth/pages/nothing", {}),
    (404, "not-found", "GET", "/problems/unheard-of", {}),
    (405, "method-not-allowed", "GET", "/auth/login", {}),
    (413, "body-too-large", "POST", "/auth/login", {"content": b"x" * 17_000}),
    (415, "unsupported-media-type", "POST", "/auth/login", {"data": {"email": "ada@example.com"}}),
    (431, "headers-too-large", "GET", "/health/live", {"headers": {"X-Long": "x" * 17_000}}),
]

HTML_IS_WANTED = {
    "Chromium": {"Accept": CHROMIUM},
    "Firefox": {"Accept": FIREFOX},
    "Safari": {"Accept": SAFARI},
    "a browser with TLS": {"Accept": CHROMIUM, "Sec-Fetch-Mode": "navigate"},
    "text/html alone": {"Accept": "text/html"},
    "in capitals": {"Accept": "Text/HTML"},
    "text/html before JSON": {"Accept": "application/json;q=0.5, text/html"},
    "text/html beside anything": {"Accept": "text/html, */*"},
    "a weight for text/html": {"Accept": "text/html;level=1;q=0.7, */*;q=0.1"},
}
JSON_IS_WANTED = {
    "nothing said": {},
    "curl, fetch": {"Accept": "*/*"},
    "JSON": {"Accept": "application/json"},
    "problems": {"Accept": "application/problem+json"},
    "JSON before text/html": {"Accept": "application/json, text/html;q=0.9"},
    "JSON as much as text/html": {"Accept": "text/html, application/json"},
    "problems as much as text/html": {"Accept": "text/html, application/problem+json"},
    "text/html refused": {"Accept": "text/html;q=0, */*"},
    "text/htmlx": {"Accept": "text/htmlx"},
    "Java's HttpURLConnection with a token": {"Accept": JAVA, "Authorization": "Bearer a.b.c"},
    "Java's HttpURLConnection with JSON": {"Accept": JAVA, "Content-Type": "application/json"},
    "a script of a page": {"Accept": CHROMIUM, "Sec-Fetch-Mode": "cors"},
    "no header of HTTP's": {"Accept": "text/html;q=a, ;;,=", "Authorization": "Basic YTpi"},
}


@pytest.fixture
def database_url() -> str:
    return "sqlite+aiosqlite://"


@pytest.fixture
async def made(make_client: MakeClient) -> Client:
    return await make_client(application=APPLICATION)


async def assert_page(client: Client, status: int, code: str, method: str, path: str, **arguments: Any) -> str:
    """Fail unless a browser gets a page that says what JSON says to others, with the same headers; return its text."""
    headers = arguments.pop("headers", {})
    program = await client.request(method, path, headers=headers, **arguments)
    page = await client.request(method, path, headers={**headers, **BROWSER}, **arguments)
    assert page.status_code == program.status_code == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert int(page.headers["content-length"]) > 1000
    assert_security_headers(page.headers, page.headers["content-security-policy"])
    assert "unsafe" not in page.headers["content-security-policy"]
    left_out = {"content-type", "content-length", "content-security-policy", "x-request-id", "date"}
    assert {name: v for name, v in page.headers.items() if name not in left_out} == {
        name: v for name, v in program.headers.items() if name not in left_out
    }
    if method == "HEAD":
        return ""
    assert_problem(program, status, code)
    told = program.json()
    text = unescape(page.text)
    assert "Acme &amp; &lt;Sons&gt; $5" in page.text
    for word in (told["title"], told["detail"], told["type"], code, page.headers["x-request-id"]):
        assert word in text, word
    return text


@pytest.mark.parametrize("opened", OPENED, ids=lambda row: f"{row[0]} {row[2]} {row[3]}")
async def test_a_browser_sees_a_page(made: Client, opened: tuple[int, str, str, str, dict[str, Any]]) -> None:
    status, code, method, path, arguments = opened
    await assert_page(made, status, code, method, path, **arguments)


async def test_a_fault_of_ours_and_an_outage_are_pages_too(make_client: MakeClient, sqlite_url: str) -> None:
    client = await make_client(sqlite_url, application=APPLICATION)
    await client.register("ada@example.com")
    token = {"token": (await client.sign_in())["refresh_token"]}
    fault = "CREATE TRIGGER fault BEFORE UPDATE ON refresh_tokens BEGIN SELECT RAISE(ABORT, 'the secret'); END"
    await run_sql(sqlite_url, fault)
    told = await assert_page(client, 500, "internal-error", "POST", "/auth/revoke", data=token)
    assert "secret" not in told
    await run_sql(sqlite_url, "DROP TABLE refresh_tokens")
    told = await assert_page(client, 503, "schema-not-ready", "POST", "/auth/revoke", data=token)
    assert "Try again in 5 seconds." in told


@pytest.mark.parametrize("headers", HTML_IS_WANTED.values(), ids=HTML_IS_WANTED.keys())
async def test_who_prefers_html_gets_it(made: Client, headers: dict[str, str]) -> None:
    answer = await made.get("/nowhere", headers={"Accept": "", **headers})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("headers", JSON_IS_WANTED.values(), ids=JSON_IS_WANTED.keys())
async def test_everybody_else_gets_json(made: Client, headers: dict[str, str]) -> None:
    assert_problem(await made.get("/nowhere", headers={"Accept": "", **headers}), 404, "not-found")


async def test_what_is_no_problem_is_left_alone(made: Client) -> None:
    for path in ("/health/live", "/.well-known/jwks.json", "/auth/pages/page.js", "/openapi.json"):
        plain, opened = await made.get(path), await made.get(path, headers=BROWSER)
        assert (plain.status_code, plain.content) == (opened.status_code, opened.content)


async def test_the_root_leads_to_the_documentation_where_that_is_served(make_client: MakeClient) -> None:
    served = await make_client()
    for method in ("GET", "HEAD"):
        answer = await served.request(method, "/")
        assert (answer.status_code, answer.headers["location"]) == (303, "docs")
    hidden = await make_client(docs={"enabled": False})
    assert_problem(await hidden.get("/"), 404, "not-found")
    page = await hidden.get("/", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_a_page_says_of_each_field_what_is_wrong_and_takes_no_name_for_markup(made: Client) -> None:
    page = await made.get("/internal/revocations?wait=x&%3Cb%3E=1", headers=BROWSER)
    assert page.status_code == 422
    assert "<li>wait: Must be a number.</li>" in page.text
    assert "<li>&lt;b&gt;: This field is not known here.</li>" in page.text
