"""The published keys."""

import base64
import json

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
