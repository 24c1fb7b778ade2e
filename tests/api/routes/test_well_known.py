"""The published keys."""

import base64
import json

from tests.conftest import MakeClient
from tests.support.client import Client


async def test_the_published_keys_hold_public_parts_only_and_may_be_cached_for_five_minutes(client: Client) -> None:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    for key in answer.json()["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")


async def test_the_etag_of_the_keys_is_strong_and_answers_304_in_every_spelling_of_a_list(client: Client) -> None:
    etag = (await client.get("/.well-known/jwks.json")).headers["etag"]
    assert etag.startswith('"')
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = await client.get("/.well-known/jwks.json", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    for unknown in ('"other"', "", etag.strip('"')):
        answer = await client.get("/.well-known/jwks.json", headers={"If-None-Match": unknown})
        assert answer.status_code == 200


async def test_the_key_of_a_token_is_published(ada: Client) -> None:
    token = (await ada.sign_in())["access_token"]
    keys = (await ada.get("/.well-known/jwks.json")).json()["keys"]
    assert _header(token)["kid"] in {key["kid"] for key in keys}


def _header(token: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return found


async def test_the_metadata_names_the_issuer_of_the_tokens_and_where_the_keys_are(client: Client) -> None:
    answer = await client.get("/.well-known/oauth-authorization-server", headers={"Host": "evil.test"})
    metadata = answer.json()
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert metadata["issuer"] == "http://127.0.0.1:8000"
    assert metadata["acr_values_supported"] == ["aal1", "aal2", "phr"]
    assert metadata["jwks_uri"] == "http://127.0.0.1:8000/.well-known/jwks.json"
    assert metadata["revocation_endpoint"] == "http://127.0.0.1:8000/auth/revoke"


async def test_an_issuer_with_a_path_is_found_behind_the_well_known_one(make_client: MakeClient) -> None:
    client = await make_client(public_url="https://example.com/a/b/")
    for path in ("", "/a/b"):
        answer = await client.get(f"/.well-known/oauth-authorization-server{path}")
        assert answer.json()["issuer"] == "https://example.com/a/b"
    assert (await client.get("/.well-known/oauth-authorization-server/a")).status_code == 404
