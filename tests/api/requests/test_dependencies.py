"""Where a request comes from and who sends it, as far as headers can be believed."""

from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from jose import jwt

from auth_service.api.requests.dependencies import set_requester
from auth_service.main import create_app
from tests.conftest import MakeClient, environment, make_settings
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem
from tests.support.processes import events
from tests.support.server import Server
from tests.support.sql import run_sql

PEER = "127.0.0.1"
GATEWAY = "127.0.0.0/8"  # the peer is a trusted proxy
INNER = "10.0.0.0/8"


async def seen_address(client: Client, url: str, headers: list[tuple[str, str]]) -> str:
    """Log in with these headers and return the address that the session remembers."""
    await client.register("ada@example.com")
    tokens = (await client.login(headers=headers)).raise_for_status().json()
    rows = await run_sql(url, "SELECT id, ip FROM refresh_tokens")
    (found,) = [str(ip) for sid, ip in rows if str(sid).replace("-", "") == tokens["session_id"].replace("-", "")]
    return found


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        ("", "198.51.100.7", PEER),
        (INNER, "198.51.100.7", PEER),
        (GATEWAY, "198.51.100.7", "198.51.100.7"),
        (GATEWAY, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (GATEWAY, "127.0.0.1, 198.51.100.7", "198.51.100.7"),
        (f"{GATEWAY},{INNER}", "6.6.6.6, 198.51.100.7, 10.0.0.3 , 10.1.2.3", "198.51.100.7"),
        (GATEWAY, "6.6.6.6, 198.51.100.7, 10.0.0.3", "10.0.0.3"),
        (f"{GATEWAY},{INNER}", "10.9.9.9, 10.0.0.3", "10.9.9.9"),
        (GATEWAY, "198.51.100.7, unknown", PEER),
        (GATEWAY, "198.51.100.7,", "198.51.100.7"),  # empty elements are none (RFC 9110, section 5.6.1)
        (GATEWAY, ", ,\t,198.51.100.7 ,, ", "198.51.100.7"),
        (GATEWAY, "unknown,,", PEER),
        (GATEWAY, " , ,", PEER),
        ("", "198.51.100.7,", PEER),
        (GATEWAY, "", PEER),
        (GATEWAY, "2001:DB8::7", "2001:db8::7"),
        (f"{GATEWAY},2001:db8::/32", "2001:db9::1, 2001:db8::7", "2001:db9::1"),
        (GATEWAY, "fe80::1%eth0", "fe80::1"),
        (f"{GATEWAY},{INNER}", "198.51.100.7, ::ffff:10.0.0.3", "198.51.100.7"),
        (f"{GATEWAY},{INNER}", "6.6.6.6, unknown, 10.0.0.3", "10.0.0.3"),
        (f"{GATEWAY},{INNER}", "6.6.6.6, , 10.0.0.3", "6.6.6.6"),
        (f"{GATEWAY},{INNER}", "6.6.6.6:1, 198.51.100.7:567, 10.0.0.3:80", "198.51.100.7"),
        (f"{GATEWAY},{INNER}", "[2001:db8::7]:443, [::ffff:10.0.0.3]", "2001:db8::7"),
        (GATEWAY, "[::1]:80", "::1"),
        (GATEWAY, "[fe80::1%eth0]:80", "fe80::1"),
        (GATEWAY, "198.51.100.7:", PEER),
        (GATEWAY, "198.51.100.7:x", PEER),
        (GATEWAY, "[198.51.100.7", PEER),
        (GATEWAY, "for=198.51.100.7", PEER),
        (GATEWAY, "198.51.100.007", PEER),
        (GATEWAY, "198.51.100.7/32", PEER),
    ],
)
async def test_the_client_address_is_the_rightmost_that_no_trusted_proxy_has(
    make_client: MakeClient, database_url: str, trusted: str, forwarded: str, expected: str
) -> None:
    client = await make_client(database_url, proxy={"trusted": trusted})
    assert await seen_address(client, database_url, [("X-Forwarded-For", forwarded)]) == expected


async def test_an_address_with_a_zone_of_free_text_does_not_fail_the_login(
    make_client: MakeClient, postgres_url: str
) -> None:
    client = await make_client(postgres_url, proxy={"trusted": GATEWAY})
    zone = [("X-Forwarded-For", "fe80::1%" + "x" * 100)]
    assert await seen_address(client, postgres_url, zone) == "fe80::1"


async def test_lines_of_x_forwarded_for_count_as_one_list(make_client: MakeClient, database_url: str) -> None:
    client = await make_client(database_url, proxy={"trusted": GATEWAY})
    lines = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "198.51.100.7")]
    for more in ([], [("X-Forwarded-For", "")]):
        assert await seen_address(client, database_url, [*lines, *more]) == "198.51.100.7"


async def test_other_headers_about_the_client_are_never_believed(make_client: MakeClient, database_url: str) -> None:
    client = await make_client(database_url, proxy={"trusted": GATEWAY})
    names = ["Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X_Forwarded_For"]
    lines = [(name, "for=6.6.6.6" if name == "Forwarded" else "6.6.6.6") for name in names]
    assert await seen_address(client, database_url, lines) == PEER


async def test_a_real_server_believes_no_forwarded_address_from_an_untrusted_peer(
    server_client: Client, server_url: str
) -> None:
    assert await seen_address(server_client, server_url, [("X-Forwarded-For", "6.6.6.6")]) == PEER


@pytest.mark.parametrize(("trusted", "told"), [("", 1), ("10.0.0.0/8", 1), (GATEWAY, 0)])
async def test_a_gateway_whose_clients_would_all_be_locked_out_for_one_of_them_is_told_once_with_the_variable(
    tmp_path: Path, trusted: str, told: int
) -> None:
    env = environment(f"sqlite+aiosqlite:///{tmp_path}/auth.db", AUTH_PROXY__TRUSTED=trusted)
    with Server(env, tmp_path) as server:
        server.wait_ready()
        async with Client(base_url=server.base_url, trust_env=False) as client:
            for number in range(5):
                forwarded = {"X-Forwarded-For": f"198.51.100.{number}"}
                assert (await client.login(headers=forwarded)).status_code == 401
        warnings = events(server.log(), "proxy.untrusted", level="warning", peer=PEER)
        assert [True] * told == ["AUTH_PROXY__TRUSTED" in warning["hint"] for warning in warnings]


POISON = [
    "Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Scheme",
    "X-Host", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X_Forwarded_Host",
]  # fmt: skip


async def test_host_header_poisoning_through_a_trusted_gateway_reaches_neither_a_link_nor_the_issuer(
    make_client: MakeClient,
) -> None:
    client = await make_client(proxy={"trusted": GATEWAY})
    await client.register("ada@example.com")
    await test_host_and_forwarded_headers_reach_neither_a_link_nor_the_issuer(client)


async def test_host_and_forwarded_headers_reach_neither_a_link_nor_the_issuer(ada: Client) -> None:
    evil = dict.fromkeys(POISON, "evil.test") | {
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.test;proto=https",
    }
    assert_problem(await ada.get("/nowhere", headers=evil), 404, "not-found")
    answer = await ada.login(headers=evil)
    access_token = answer.raise_for_status().json()["access_token"]
    assert (await ada.me(access_token)).status_code == 200  # which a token of another issuer would not get
    assert "evil.test" not in answer.text
    assert jwt.get_unverified_claims(access_token)["iss"] == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Basic YWRhOng=", "Token x", "x", "Bearer a b", "Bearer a,b", 'Bearer "a"', "Bearer:x"],
)
async def test_an_authorization_header_that_is_no_bearer_token_is_refused(client: Client, value: str) -> None:
    answer = await client.get("/auth/me", headers={"Authorization": value})
    assert_problem(answer, 401, "missing-access-token")


async def test_an_access_token_is_taken_from_exactly_one_authorization_header_and_nowhere_else(ada: Client) -> None:
    token = (await ada.sign_in())["access_token"]
    header = ("Authorization", f"Bearer {token}")
    assert (await ada.get("/auth/me", headers=[("Authorization", f"bearer {token}")])).status_code == 200
    for twice in ([header, header], [header, ("Authorization", "Basic x")], [("Authorization", "Bearer x"), header]):
        assert_problem(await ada.get("/auth/me", headers=twice), 401, "missing-access-token")
    elsewhere = {"Cookie": f"access_token={token}; Authorization=Bearer {token}", "X-Access-Token": token}
    answer = await ada.get(f"/auth/me?access_token={token}&authorization=Bearer+{token}", headers=elsewhere)
    assert_problem(answer, 401, "missing-access-token")


async def test_identity_headers_of_gateways_grant_nothing(ada: Client) -> None:
    account = (await ada.register("mallory@example.com")).json()
    words = [
        "User",
        "User-Id",
        "Auth-User",
        "Auth-Session",
        "Auth-Role",
        "Auth-Request-User",
        "Forwarded-User",
        "Email",
    ]
    names = [f"X-{word}" for word in words] + ["Remote-User", "X-Remote-User", "X-Client-Cert", "X-Internal-User"]
    claims = dict.fromkeys([*names, *(name.replace("-", "_") for name in names)], account["id"])
    assert_problem(await ada.get("/auth/me", headers=claims), 401, "missing-access-token")
    token = (await ada.sign_in())["access_token"]
    answer = await ada.get("/auth/me", headers={**claims, "Authorization": f"Bearer {token}"})
    assert answer.json()["email"] == "ada@example.com"


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a b", b"\xe4", b"a\tb", b"\x7f"])
async def test_an_idempotency_key_that_is_no_visible_ascii_is_refused(ada: Client, key: bytes) -> None:
    token = (await ada.sign_in())["refresh_token"]
    headers = {b"Idempotency-Key": key}
    answer = await ada.post("/auth/refresh", json={"refresh_token": token}, headers=headers)
    assert_problem(answer, 422, "validation-error")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_two_idempotency_keys_are_refused(ada: Client) -> None:
    token = (await ada.sign_in())["refresh_token"]
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answer = await ada.post("/auth/refresh", json={"refresh_token": token}, headers=twice)
    assert_problem(answer, 422, "validation-error")


async def test_a_user_agent_is_kept_as_one_printable_line_of_256_characters(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url)
    await client.register("ada@example.com")
    agent = b"\x1b[31m\x85curl\xa0/" + b"9" * 400
    body = {"email": "ada@example.com", "password": PASSWORD}
    await client.post("/auth/login", json=body, headers={b"User-Agent": agent})
    ((kept,),) = await run_sql(database_url, "SELECT user_agent FROM refresh_tokens")
    assert kept == ("[31mcurl/" + "9" * 400)[:256]


def test_every_route_but_the_documentation_notes_where_a_request_comes_from() -> None:
    app = create_app(make_settings("sqlite+aiosqlite://"))
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(routes) > 40
    others = [route.path for route in routes if set_requester not in _calls(route)]
    assert others == ["/openapi.json", "/docs", "/docs/{name}", "/"]


def _calls(route: APIRoute) -> list[object]:
    return [dependency.call for dependency in route.dependant.dependencies]
