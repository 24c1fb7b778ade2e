"""`/metrics`: numbers for Prometheus, for those who hold the internal token."""

import pytest

from tests.conftest import MakeClient

TOKEN = "dG9rZW4gb2YgdGhlIHRlc3Rz"


async def test_the_metrics_count_refreshes_by_outcome(make_client: MakeClient) -> None:
    client = await make_client(internal_token=TOKEN)
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    await client.rotate(tokens["refresh_token"])
    await client.refresh(tokens["refresh_token"])
    await client.refresh("art_forged")
    page = (await client.get("/metrics", headers={"X-Internal-Token": TOKEN})).text
    assert 'auth_refreshes_total{outcome="rotated"} 1.0' in page
    assert 'auth_refreshes_total{outcome="replay"} 1.0' in page
    assert 'auth_refreshes_total{outcome="forged"} 1.0' in page
    assert "auth_revocations_stale 0.0" in page
    assert "auth_hashing_waiting 0.0" in page


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
