"""Pages of other origins: only those on the list are told anything, and then also about every error."""

from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient, environment
from tests.support.client import PASSWORD, Client
from tests.support.headers import assert_security_headers
from tests.support.problems import assert_problem
from tests.support.raw_http import exchange
from tests.support.server import Server
from tests.support.sql import run_sql

PAGE = "https://app.example.com"
OTHER = "http://localhost:3000"
FROM_PAGE = {"Origin": PAGE}
ACCOUNT = {"email": "ada@example.com", "password": PASSWORD}

# Origins that only resemble a listed one.
STRANGERS = [
    "null", "*", "", "https://app.example.com.evil.test", "https://evil.test", "http://app.example.com",
    "https://APP.example.com", "https://app.example.com.", "https://app.example.com:443", "https://app.example.com/",
    "https://sub.app.example.com", "https://example.com", "https://app-example.com",
    "https://app.example.com evil.test", "https://app.example.com,https://evil.test", "https://app.example.com\t", "http://localhost",
    "http://localhost:3001",
]  # fmt: skip


@pytest.fixture
async def listed(make_client: MakeClient) -> Client:
    return await make_client(cors={"origins": f"{PAGE},{OTHER}"}, cookies={"enabled": True})


async def preflight(client: Client, origin: str, method: str = "POST", headers: str = "") -> httpx.Response:
    sent = {"Origin": origin, "Access-Control-Request-Method": method}
    return await client.options(
        "/auth/refresh", headers=sent | ({"Access-Control-Request-Headers": headers} if headers else {})
    )


def told(answer: httpx.Response) -> dict[str, str]:
    """What an answer says to a browser about other origins."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def varies(answer: httpx.Response) -> bool:
    return "Origin" in answer.headers.get("vary", "").split(", ")


@pytest.mark.parametrize("origin", [PAGE, OTHER])
async def test_a_listed_page_may_send_what_it_needs(listed: Client, origin: str) -> None:
    wanted = "authorization,content-type,idempotency-key,traceparent,tracestate,x-auth-cookie,x-request-id"
    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
        answer = await preflight(listed, origin, method, wanted)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert method in answer.headers["access-control-allow-methods"].split(", ")
        allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].lower().split(",")}
        assert set(wanted.split(",")) <= allowed
        assert varies(answer)
        assert_security_headers(answer.headers)


async def test_a_listed_page_may_read_answers_and_the_headers_it_needs(listed: Client) -> None:
    answer = await listed.get("/.well-known/jwks.json", headers=FROM_PAGE)
    assert told(answer) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "Date, Retry-After, WWW-Authenticate, X-Request-ID",
    }
    assert varies(answer)


async def test_without_cookies_no_page_may_send_credentials(make_client: MakeClient) -> None:
    client = await make_client(cors={"origins": PAGE})
    for answer in (await preflight(client, PAGE), await client.get("/health/live", headers=FROM_PAGE)):
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", STRANGERS)
async def test_origin_reflection_by_a_look_alike_is_told_nothing(listed: Client, origin: str) -> None:
    for answer in (
        await preflight(listed, origin),
        await listed.get("/health/live", headers={"Origin": origin}),
        await listed.get("/auth/me", headers={"Origin": origin}),
    ):
        assert told(answer) == {}
        assert varies(answer)
    assert_problem(await preflight(listed, origin), 403, "preflight-refused")


async def test_two_origins_are_none(listed: Client) -> None:
    answer = await listed.get("/health/live", headers=[("Origin", PAGE), ("Origin", "https://evil.test")])
    assert told(answer) == {}


async def test_an_answer_to_nobody_in_particular_varies_too(listed: Client) -> None:
    answer = await listed.get("/.well-known/jwks.json")  # which caches may keep
    assert varies(answer)
    assert told(answer) == {}


@pytest.mark.parametrize(("method", "headers"), [("PUT", ""), ("TRACE", ""), ("POST", "x-internal-token")])
async def test_a_listed_page_may_not_send_anything_else(listed: Client, method: str, headers: str) -> None:
    answer = await preflight(listed, PAGE, method, headers)
    assert_problem(answer, 403, "preflight-refused")
    assert told(answer) == {}
    assert varies(answer)


async def test_it_is_off_by_default(client: Client) -> None:
    assert_problem(await preflight(client, PAGE), 403, "preflight-refused")
    answer = await client.get("/health/live", headers=FROM_PAGE)
    assert told(answer) == {}
    assert "vary" not in answer.headers


async def test_a_listed_page_may_read_every_error(make_client: MakeClient, database_url: str) -> None:
    client = await make_client(database_url, cors={"origins": PAGE})
    refused: dict[int, dict[str, Any]] = {
        401: {"json": {**ACCOUNT, "password": "wrong"}},
        422: {"json": {}},
        413: {"json": {**ACCOUNT, "password": "x" * 17_000}},
        415: {"content": b"{}"},
        431: {"headers": {"X-Long": "x" * 17_000}},
    }
    for status, arguments in refused.items():
        answer = await client.post("/auth/login", **arguments | {"headers": FROM_PAGE | arguments.get("headers", {})})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE
    fault = "CREATE TRIGGER fault BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'fault'); END"
    await run_sql(database_url, fault)
    broken = await client.post("/auth/register", json=ACCOUNT, headers=FROM_PAGE)
    await run_sql(database_url, "DROP TABLE users")
    down = await client.post("/auth/login", json=ACCOUNT, headers=FROM_PAGE)
    for answer, status in ((broken, 500), (down, 503)):
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


TOKEN = "x-hunter2"
ORIGINS, NULL, TWO = (
    "listed in AUTH_CORS__ORIGINS",
    "which AUTH_CORS__ORIGINS cannot list",
    "must have one Origin header",
)
METHODS, HEADERS, PRIVATE = (
    "no setting adds a method",
    "listed in AUTH_CORS__HEADERS",
    "private one, which no setting allows",
)
# What is sent beside the method and the page, and all that the answer says of it.
REFUSED: list[tuple[list[tuple[str, str]], list[str]]] = [
    ([("Access-Control-Request-Method", "PUT")], [METHODS]),
    ([("Access-Control-Request-Method", "post")], [METHODS]),
    ([("Access-Control-Request-Method", "TRACE")], [METHODS]),
    ([("Access-Control-Request-Headers", TOKEN)], [HEADERS]),
    ([("Access-Control-Request-Headers", f"authorization,{TOKEN}")], [HEADERS]),
    ([("Access-Control-Request-Headers", "Bearer hunter2, a/b: c")], [HEADERS]),
    ([("Access-Control-Request-Method", TOKEN), ("Access-Control-Request-Headers", TOKEN)], [METHODS, HEADERS]),
    ([("Access-Control-Request-Private-Network", "true")], [PRIVATE]),
    ([("Origin", "https://hunter2.test")], [ORIGINS]),
    ([("Origin", "https://hunter2.test"), ("Access-Control-Request-Headers", TOKEN)], [ORIGINS]),
    ([("Origin", "null")], [NULL]),
    ([("Origin", "")], [ORIGINS]),
    ([("Origin", PAGE), ("Origin", "https://hunter2.test")], [TWO]),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "words"), REFUSED, ids=str)
async def test_a_refused_preflight_says_which_part_is_not_allowed_and_what_would_allow_it(
    listed: Client, sent: list[tuple[str, str]], words: list[str]
) -> None:
    named = {name for name, _ in sent}
    usual = [("Origin", PAGE), ("Access-Control-Request-Method", "POST")]
    answer = await listed.options("/auth/refresh", headers=[*(one for one in usual if one[0] not in named), *sent])
    assert_problem(answer, 403, "preflight-refused")
    detail = answer.json()["detail"]
    assert [word for word in (ORIGINS, NULL, TWO, METHODS, HEADERS, PRIVATE) if word in detail] == words
    assert "hunter2" not in answer.text


async def test_a_listed_page_may_send_what_the_settings_add(make_client: MakeClient) -> None:
    client = await make_client(cors={"origins": PAGE, "headers": "Sentry-Trace, baggage"})
    for wanted in ("sentry-trace", "Baggage,authorization", "traceparent,sentry-trace"):
        assert (await preflight(client, PAGE, headers=wanted)).status_code == 200
    assert_problem(await preflight(client, PAGE, headers="sentry-trace,x-other"), 403, "preflight-refused")


# What shells of apps, extensions and development servers send as Origin.
SHELLS = [
    "capacitor://localhost", "ionic://localhost", "tauri://localhost", "app://obsidian.md", "app://.",
    "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    "safari-web-extension://1d3e8c9a-8b7f-4c6d-9e2a-1b3c5d7e9f00", "vscode-webview://webview_panel", "tauri://localhost:1420",
    "http://localhost:5173", "http://tauri.localhost", "https://localhost", "http://my_app.local", "http://[::1]:8080",
    "https://xn--bcher-kva.example",
]  # fmt: skip


@pytest.mark.parametrize("origin", SHELLS)
async def test_every_kind_of_origin_that_is_listed_is_told_and_nothing_like_it(
    make_client: MakeClient, origin: str
) -> None:
    client = await make_client(cors={"origins": origin}, cookies={"enabled": True})
    for answer in (await preflight(client, origin), await client.get("/health/live", headers={"Origin": origin})):
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
    page = {"Origin": origin, "X-Auth-Cookie": "1"}
    assert_problem(await client.post("/auth/refresh", json={}, headers=page), 401, "invalid-refresh-token")
    for other in (origin + "/", origin + "x", origin[1:], origin.upper(), "null"):
        assert told(await client.get("/health/live", headers={"Origin": other})) == {}
        assert_problem(
            await client.post("/auth/refresh", json={}, headers=page | {"Origin": other}), 403, "cross-site-request"
        )


async def test_a_public_url_in_unicode_is_the_origin_that_browsers_send_in_ascii(make_client: MakeClient) -> None:
    client = await make_client(
        public_url="https://Bücher.example/auth",
        cookies={"enabled": True},
        cors={"origins": "https://faß.example:8443"},
    )
    for origin in ("https://xn--bcher-kva.example", "https://xn--fa-hia.example:8443"):
        page = {"Origin": origin, "X-Auth-Cookie": "1"}
        assert_problem(
            await client.post("/auth/refresh", json={}, headers=page),
            401,
            "invalid-refresh-token",
            "https://xn--bcher-kva.example/auth",
        )
    answer = await client.get("/health/live", headers={"Origin": "https://xn--fa-hia.example:8443"})
    assert answer.headers["access-control-allow-origin"] == "https://xn--fa-hia.example:8443"


def test_a_real_server_reads_its_list_from_the_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cors")
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", AUTH_CORS__ORIGINS=PAGE)
    with Server(env, folder) as server:
        server.wait_live()
        head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nOrigin: "
        assert exchange(server.port, head + b"https://evil.test\r\n\r\n").headers.get("vary") == "Origin"
        allowed = exchange(server.port, head + PAGE.encode() + b"\r\n\r\n").headers["access-control-allow-origin"]
        assert allowed == PAGE
