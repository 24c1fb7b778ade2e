"""`/metrics`: numbers for Prometheus, for those who hold the internal token."""

import time
from datetime import timedelta

import httpx
import pytest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from auth_service.main import create_app
from auth_service.models import MOST_ROTATIONS
from tests.conftest import MakeClient, make_settings
from tests.support.client import Client
from tests.support.outbox import services_of
from tests.support.prometheus import Scrape
from tests.support.server import free_port
from tests.support.sessions import HOUR, add_sessions

TOKEN = "dG9rZW4gb2YgdGhlIHRlc3Rz"


async def scraped(client: Client) -> Scrape:
    answer = await client.get("/metrics", headers={"X-Internal-Token": TOKEN})
    assert answer.raise_for_status().headers["Content-Type"] == CONTENT_TYPE_LATEST
    return Scrape(answer.text)


async def test_the_metrics_count_refreshes_by_outcome(make_client: MakeClient) -> None:
    client = await make_client(internal_token=TOKEN)
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    await client.rotate(tokens["refresh_token"])
    await client.refresh(tokens["refresh_token"])
    await client.refresh("art_forged")
    await client.rotate((await client.sign_in())["refresh_token"], times=MOST_ROTATIONS + 1)
    page = await scraped(client)
    outcomes = ("rotated", "unchanged", "replay", "forged")
    told = {outcome: page.value("auth_refreshes_total", outcome=outcome) for outcome in outcomes}
    assert told == {"rotated": 1 + MOST_ROTATIONS, "unchanged": 1, "replay": 1, "forged": 1}
    assert {labels["outcome"] for name, labels, _ in page.samples if name == "auth_refreshes_total"} > {"reuse"}
    assert page.value("auth_revocations_stale") == 0
    assert page.value("auth_revocations_age_seconds") < 60
    assert page.value("auth_hashing_waiting") == 0


async def test_requests_are_counted_by_route_method_and_status_with_their_duration(make_client: MakeClient) -> None:
    client = await make_client(internal_token=TOKEN)
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    await client.login(password="wrong wrong wrong wrong")
    await client.me(tokens["access_token"])
    session = f"/auth/sessions/{tokens['session_id']}"
    await client.delete(session, headers={"Authorization": f"Bearer {tokens['access_token']}"})
    bearer = {"Authorization": f"Bearer {tokens['access_token']}", "X-Internal-Token": TOKEN}
    for headers in ({"X-Internal-Token": TOKEN}, bearer):
        await client.get("/internal/verify", headers=headers)
    page = await scraped(client)
    for route, method, status in [
        ("/auth/register", "POST", "201"),
        ("/auth/login", "POST", "200"),
        ("/auth/login", "POST", "401"),
        ("/auth/me", "GET", "200"),
        ("/auth/sessions/{session_id}", "DELETE", "204"),
        ("/internal/verify", "GET", "401"),
    ]:
        assert page.value("auth_http_requests_total", route=route, method=method, status=status) >= 1, route
    durations = "auth_http_request_duration_seconds"
    assert page.value(f"{durations}_count", route="/auth/login", method="POST") == 2
    assert page.value(f"{durations}_bucket", route="/auth/login", method="POST", le="+Inf") == 2
    assert 0 < page.value(f"{durations}_sum", route="/auth/login", method="POST") < 60


async def test_a_verification_that_lets_through_is_counted_too(make_client: MakeClient) -> None:
    client = await make_client(internal_token=TOKEN)
    await client.register("ada@example.com")
    bearer = {"Authorization": f"Bearer {(await client.sign_in())['access_token']}", "X-Internal-Token": TOKEN}
    for method in ("GET", "POST", "BREW"):
        assert (await client.request(method, "/internal/verify", headers=bearer)).status_code == 200
    page = await scraped(client)
    for method in ("GET", "POST", "other"):
        assert page.value("auth_http_requests_total", route="/internal/verify", method=method, status="200") == 1


async def test_no_client_can_add_a_series(make_client: MakeClient) -> None:
    client = await make_client(internal_token=TOKEN)
    before = await scraped(client)
    for number in range(20):
        await client.get(f"/nowhere/{number}")
        await client.request(f"BREW{number}", "/auth/login")
        await client.request(f"BREW{number}", f"/nowhere/{number}")
    page = await scraped(client)
    assert page.value("auth_http_requests_total", route="other", method="GET", status="404") == 20
    assert page.value("auth_http_requests_total", route="other", method="other", status="404") == 20
    assert page.value("auth_http_requests_total", route="/auth/login", method="other", status="405") == 20
    was, now = (
        {(labels["route"], labels["method"]) for name, labels, _ in found.samples if name == "auth_http_requests_total"}
        for found in (before, page)
    )
    assert now - was == {("other", "GET"), ("other", "other"), ("/auth/login", "other"), ("/metrics", "GET")}


async def test_logins_are_counted_by_outcome_and_what_is_refused_as_too_many(make_client: MakeClient) -> None:
    client = await make_client(internal_token=TOKEN, throttle={"account_failures": 1, "registrations": 2})
    registered = [(await client.register(f"{name}@example.com")).status_code for name in ("ada", "eve", "mallory")]
    assert registered == [201, 201, 429]
    await client.sign_in()
    statuses = [(await client.login("bob@example.com")).status_code for _ in range(3)]
    assert statuses == [401, 429, 429]
    page = await scraped(client)
    outcomes = {labels["outcome"]: value for name, labels, value in page.samples if name == "auth_logins_total"}
    nothing = {"second_factor_required": 0, "overloaded": 0, "unavailable": 0, "other": 0}
    assert outcomes == {"succeeded": 1, "failed": 1, "throttled": 2, **nothing}
    assert page.value("auth_throttled_total", what="login") == 2
    assert page.value("auth_throttled_total", what="registration") == 1
    assert page.value("auth_hashing_seconds_count") == page.value("auth_hashing_wait_seconds_count") >= 3


async def test_the_signing_key_tells_since_when_it_signs_and_when_the_next_one_will(make_client: MakeClient) -> None:
    client = await make_client(internal_token=TOKEN, keys={"rotation_interval": timedelta(days=90)})
    await client.register("ada@example.com")
    await client.sign_in()
    page = await scraped(client)
    since = page.value("auth_signing_key_activated_timestamp_seconds")
    assert abs(since - time.time()) < 60
    assert page.value("auth_signing_key_next_timestamp_seconds") == since + timedelta(days=90).total_seconds()
    assert page.value("auth_signing_key_usable") == 1
    assert page.value("auth_signing_keys", state="active") == 1


async def test_the_clean_up_tells_when_it_ended_and_how_old_the_oldest_expired_session_is(
    make_client: MakeClient,
) -> None:
    client = await make_client(internal_token=TOKEN)
    cleanup = services_of(client).gauges.cleanup
    await add_sessions(services_of(client).gauges.database, -2 * HOUR, -HOUR)
    unknown = "auth_cleanup_oldest_expired_seconds"
    assert unknown not in [name for name, *_ in (await scraped(client)).samples], "not yet known, and not 0"
    await cleanup.look_at_oldest()
    page = await scraped(client)
    assert 7200 <= page.value("auth_cleanup_oldest_expired_seconds") < 7300
    await cleanup.delete_expired(100)
    page = await scraped(client)
    assert page.value("auth_cleanup_oldest_expired_seconds") == 0
    assert page.value("auth_cleanup_deleted_total", what="sessions") == 2
    assert abs(page.value("auth_cleanup_last_success_timestamp_seconds") - time.time()) < 60


async def test_a_scrape_without_a_database_is_answered() -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/auth"
    app = create_app(make_settings(url, internal_token=TOKEN))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with Client(transport=transport, base_url="http://auth.example") as client:
            page = await scraped(client)
    assert page.value("auth_signing_key_usable") == 0
    assert page.value("auth_db_pool_size") > 0


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Internal-Token": "another one"}, {"Authorization": "Bearer another one"}, {"X-Internal-Token": "\xe9"}],
)
async def test_a_scrape_without_the_internal_token_is_refused(make_client: MakeClient, headers: dict[str, str]) -> None:
    client = await make_client(internal_token=TOKEN)
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = await client.get("/metrics", headers=encoded)
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid-internal-token"
    allowed = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert allowed.status_code == 200


async def test_without_a_token_the_metrics_are_closed_on_postgresql(make_client: MakeClient, postgres_url: str) -> None:
    client = await make_client(postgres_url)
    assert (await client.get("/metrics")).status_code == 401
    assert (await client.get("/metrics", headers={"X-Internal-Token": ""})).status_code == 401
