"""`/internal/verify`: a gateway asks, and only whoever holds a good token of a living session is let through."""

import asyncio
import base64
import json
import re
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from auth_service.security.tokens.claims import Claims
from auth_service.services.signing_keys.key_ring import LOOK_AGAIN_EVERY, MOST_WAITING
from auth_service.services.signing_keys.verified_tokens import VerifiedTokens
from auth_service.settings import LogSettings
from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.forge import MISSING, open_forge, part
from tests.support.polling import eventually
from tests.support.postgres import Cluster
from tests.support.problems import assert_problem, faults
from tests.support.stored_session import StoredSession

TOKEN = "internal-token-of-the-tests"
NO_TOKEN = "missing-access-token"
VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW"]


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_good_token_is_let_through_with_every_verb_and_a_body(ada: Client, verb: str) -> None:
    tokens = await ada.sign_in()
    answer = await ada.request(verb, "/internal/verify", headers=bearer(tokens["access_token"]), content=b"x" * 1000)
    account = (await ada.me(tokens["access_token"])).json()
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-auth-user"] == account["id"]
    assert answer.headers["x-auth-session"] == tokens["session_id"]
    assert answer.headers["x-auth-role"] == "user"
    assert (answer.headers["x-auth-acr"], answer.headers["x-auth-amr"]) == ("aal1", "pwd")
    assert int(answer.headers["x-auth-time"]) == part(tokens["access_token"], 1)["auth_time"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("verb", VERBS)
async def test_no_token_is_a_401_with_every_verb_whatever_identity_headers_come_with_it(
    client: Client, verb: str
) -> None:
    forged = {"X-Auth-User": "admin", "X-Auth-Role": "admin", "X-Forwarded-User": "admin", "Remote-User": "admin"}
    answer = await client.request(verb, "/internal/verify", headers=forged)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not [name for name in answer.headers if name.startswith("x-auth-")]


async def test_a_forged_token_is_a_401_again_and_again(ada: Client) -> None:
    token = (await ada.sign_in())["access_token"]
    head, payload, signature = token.split(".")
    forged = ".".join([head, payload, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")])
    for _ in range(3):
        assert (await ada.get("/internal/verify", headers=bearer(token))).status_code == 200
        answer = await ada.get("/internal/verify", headers=bearer(forged))
        assert_problem(answer, 401, "invalid-access-token")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_role_is_required_where_it_is_asked_for(ada: Client) -> None:
    headers = bearer((await ada.sign_in())["access_token"])
    for allowed in ("role=user", "role=admin&role=user"):
        assert (await ada.get(f"/internal/verify?{allowed}", headers=headers)).status_code == 200
    refused = await ada.get("/internal/verify?role=admin", headers=headers)
    assert_problem(refused, 403, "insufficient-role")
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


UNCLEAR = {
    "roles=admin": [("roles", "unknown-field")],
    "role=": [("role", "required")],
    "role=user&x=1": [("x", "unknown-field")],
    "admin": [("admin", "unknown-field")],
    "ROLE=user": [("ROLE", "unknown-field")],
    "acr=": [("acr", "unknown-value")],
    "acr=aal3": [("acr", "unknown-value")],
    "acr=AAL2": [("acr", "unknown-value")],
    "acr=aal1&acr=aal1": [("acr", "repeated")],
    "max_age=": [("max_age", "wrong-type")],
    "max_age=-1": [("max_age", "wrong-type")],
    "max_age=1.5": [("max_age", "wrong-type")],
    "max_age=%D9%A3": [("max_age", "wrong-type")],
    "max_age=1&max_age=2": [("max_age", "repeated")],
    "max_age=1000000000": [("max_age", "wrong-type")],
    "&": [("query", "required")],
    "%00=1": [("query", "unknown-field")],
    "role=&acr=x&max_age=y&z": [
        ("z", "unknown-field"), ("role", "required"), ("acr", "unknown-value"), ("max_age", "wrong-type")
    ],
}  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), UNCLEAR.items(), ids=UNCLEAR)
async def test_a_requirement_that_is_not_understood_lets_nobody_through_and_is_named(
    ada: Client, query: str, expected: list[tuple[str, str]]
) -> None:
    headers = bearer((await ada.sign_in())["access_token"])
    refused = await ada.get(f"/internal/verify?{query}", headers=headers)
    assert_problem(refused, 422, "validation-error")
    assert faults(refused) == expected


async def test_a_sign_in_that_is_not_sure_enough_is_told_what_would_do(ada: Client) -> None:
    tokens = await ada.sign_in()
    headers = bearer(tokens["access_token"])
    assert (await ada.get("/internal/verify?acr=aal1&max_age=300&role=user", headers=headers)).status_code == 200
    for wanted, enough in (("aal2", "aal2 phr"), ("phr", "phr")):
        refused = await ada.get(f"/internal/verify?acr={wanted}", headers=headers)
        assert_problem(refused, 401, "step-up-required")
        assert refused.json()["acr_values"] == enough
        assert "max_age" not in refused.json()
        challenge = refused.headers["www-authenticate"]
        assert challenge.startswith('Bearer error="insufficient_user_authentication"')
        assert challenge.endswith(f'acr_values="{enough}"')
        assert not [name for name in refused.headers if name.startswith("x-auth-")]


@pytest.mark.parametrize("acr", ["aal2", "phr"])
async def test_a_surer_sign_in_satisfies_the_less_sure(ada: Client, acr: str) -> None:
    tokens = await ada.sign_in()
    await StoredSession(ada, tokens).change(acr=acr, amr="pwd otp mfa")
    headers = bearer((await ada.rotate(tokens["refresh_token"]))["access_token"])
    answer = await ada.get("/internal/verify?acr=aal2", headers=headers)
    assert (answer.status_code, answer.headers["x-auth-acr"]) == (200, acr)
    assert answer.headers["x-auth-amr"] == "pwd otp mfa"


async def test_an_old_sign_in_is_refused_and_a_step_up_opens_it(ada: Client) -> None:
    tokens = await ada.sign_in()
    old = await StoredSession(ada, tokens).grows_old(tokens, seconds=301)
    refused = await ada.get("/internal/verify?max_age=300", headers=bearer(old))
    assert_problem(refused, 401, "step-up-required")
    assert refused.json()["max_age"] == 300
    assert refused.headers["www-authenticate"].endswith('max_age="300"')
    assert (await ada.get("/internal/verify", headers=bearer(old))).status_code == 200
    proved = (await ada.step_up(old)).json()["access_token"]
    assert (await ada.get("/internal/verify?max_age=300", headers=bearer(proved))).status_code == 200


async def test_the_token_of_an_older_service_is_the_weakest_and_never_recent_and_its_headers_are_empty(
    make_client: MakeClient, tmp_path: Path
) -> None:
    file_url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    client = await make_client(file_url)
    await client.register("ada@example.com")
    forge = await open_forge(file_url, (await client.sign_in())["access_token"])
    older = bearer(forge.signed(claims=dict.fromkeys(("auth_time", "acr", "amr"), MISSING)))
    let_in = await client.get("/internal/verify", headers=older)
    assert [let_in.headers.get_list(f"x-auth-{name}") for name in ("acr", "amr", "time")] == [[""]] * 3
    assert (await client.get("/internal/verify?acr=aal1", headers=older)).status_code == 200
    for wanted in ("acr=aal2", "max_age=999999999"):
        assert_problem(await client.get(f"/internal/verify?{wanted}", headers=older), 401, "step-up-required")
    assert_problem(await client.get("/auth/me/export", headers=older), 401, "step-up-required")


async def test_an_ended_session_is_refused_at_once(ada: Client) -> None:
    tokens = await ada.sign_in()
    headers = bearer(tokens["access_token"])
    assert (await ada.get("/internal/verify", headers=headers)).status_code == 200
    await ada.logout(tokens["refresh_token"])
    assert (await ada.get("/internal/verify", headers=headers)).status_code == 401


async def test_an_expired_token_is_refused_although_it_was_verified_before(make_client: MakeClient) -> None:
    client = await make_client(tokens={"access_lifetime": 1, "leeway": 0})
    await client.register("ada@example.com")
    headers = bearer((await client.sign_in())["access_token"])

    async def is_refused() -> bool:
        return (await client.get("/internal/verify", headers=headers)).status_code == 401

    await eventually(is_refused, seconds=5)


@pytest.mark.parametrize("headers", [{}, {"X-Internal-Token": "another"}, {"Authorization": f"Bearer {TOKEN}"}])
async def test_a_gateway_without_the_internal_token_learns_nothing(
    make_client: MakeClient, headers: dict[str, str]
) -> None:
    client = await make_client(internal_token=TOKEN)
    await client.register("ada@example.com")
    good = bearer((await client.sign_in())["access_token"])
    assert_problem(await client.get("/internal/verify", headers={**good, **headers}), 401, "invalid-internal-token")
    answer = await client.get("/internal/verify", headers={**good, "X-Internal-Token": TOKEN})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["//internal/verify", "/internal/verify/", "/internal/%76erify/x", "/INTERNAL/verify"])
async def test_no_other_spelling_of_the_path_verifies_anything(ada: Client, path: str) -> None:
    headers = bearer((await ada.sign_in())["access_token"])
    answer = await ada.get(ada.base_url.join("/").copy_with(raw_path=path.encode()), headers=headers)
    assert answer.status_code == 404


async def test_with_the_database_gone_it_answers_from_memory_and_then_says_that_it_cannot_know(
    make_client: MakeClient, cluster: Cluster, postgres_url: str
) -> None:
    client = await make_client(postgres_url, internal_token=TOKEN, revocations={"stale_after": 60})
    impatient = await make_client(postgres_url, internal_token=TOKEN)
    await client.register("ada@example.com")
    tokens = await client.sign_in()
    headers = {**bearer(tokens["access_token"]), "X-Internal-Token": TOKEN}

    async def verify(at: Client) -> httpx.Response:
        return await at.get("/internal/verify", headers=headers)

    async def cannot_know() -> bool:
        return (await verify(impatient)).status_code == 503

    assert (await verify(client)).status_code == (await verify(impatient)).status_code == 200
    await asyncio.to_thread(cluster.stop, "immediate")
    try:
        await eventually(cannot_know, seconds=20)
        assert_problem(await verify(impatient), 503, "unavailable")
        assert (await verify(client)).status_code == 200
        assert_problem(await client.get("/internal/verify", headers={"X-Internal-Token": TOKEN}), 401, NO_TOKEN)
    finally:
        await asyncio.to_thread(cluster.start)


async def test_forged_tokens_push_no_genuine_one_out_of_the_memory(ada: Client) -> None:
    genuine = [(await ada.sign_in())["access_token"] for _ in range(3)]
    for token in genuine:
        await ada.get("/internal/verify", headers=bearer(token))
    for number in range(50):
        head, payload, _ = genuine[0].split(".")
        await ada.get("/internal/verify", headers=bearer(f"{head}.{payload}.{number:086}"))
    assert "auth_verified_tokens 3.0" in (await ada.get("/metrics")).text


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_made_up_key_ids_hold_a_bounded_number_of_requests_and_the_rest_is_a_401_at_once(
    make_client: MakeClient, request: pytest.FixtureRequest, kind: str
) -> None:
    """At this door a token of an unknown key waits for the next reading of the keys, which comes every two seconds."""
    url = request.getfixturevalue("postgres_url" if kind == "postgresql" else "database_url")
    client = await make_client(url, internal_token=TOKEN)
    await client.register("ada@example.com")
    token = (await client.sign_in())["access_token"]
    inside = {"X-Internal-Token": TOKEN}

    def made_up(number: int) -> str:
        header = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": f"made up {number}"}).encode()
        return f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{token.split('.', 1)[1]}"

    async def verify(access_token: str) -> httpx.Response:
        return await client.get("/internal/verify", headers=bearer(access_token) | inside)

    await verify(made_up(0))  # it waits for a reading, so the next one is two seconds away
    forged = [asyncio.create_task(verify(made_up(number))) for number in range(200)]
    done, waiting = await asyncio.wait(forged, timeout=1.2)
    assert len(waiting) == MOST_WAITING
    for task in done:
        assert_problem(task.result(), 401, "invalid-access-token")
    assert (await verify(token)).status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {401}
    assert (await verify(token)).status_code == 200


async def test_the_time_that_is_told_of_a_refusal_is_the_time_that_it_took(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token of an unknown key has waited before it is refused."""
    client = await make_client(internal_token=TOKEN, log=LogSettings(level="debug", format="json"))
    await client.register("ada@example.com")
    forge = (await client.sign_in())["access_token"].split(".", 1)[1]
    header = base64.urlsafe_b64encode(b'{"alg":"ES256","typ":"at+jwt","kid":"made up"}').rstrip(b"=").decode()
    inside = {"X-Internal-Token": TOKEN}
    took = 0.0
    while took < 1:  # the readings that it waits for come every two seconds
        started = time.monotonic()
        answer = await client.get("/internal/verify", headers=bearer(f"{header}.{forge}") | inside)
        took = time.monotonic() - started
    assert_problem(answer, 401, "invalid-access-token")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    told = [line for line in lines if line["event"] == "request" and line["path"] == "/internal/verify"][-1]
    assert took * 1000 - 200 < told["ms"] <= took * 1000
    metrics = (await client.get("/metrics", headers=inside)).text
    (total,) = re.findall(r'duration_seconds_sum\{method="GET",route="/internal/verify"\} (\S+)', metrics)
    assert float(total) > took - 0.2


async def test_nor_do_they_hold_more_at_the_doors_that_read_the_keys_again(make_client: MakeClient) -> None:
    client = await make_client()
    await client.register("ada@example.com")
    forge = (await client.sign_in())["access_token"].split(".", 1)[1]
    header = base64.urlsafe_b64encode(b'{"alg":"ES256","typ":"at+jwt","kid":"made up"}').rstrip(b"=").decode()
    for _ in range(2):
        asked = [asyncio.create_task(client.me(f"{header}.{forge}")) for _ in range(200)]
        _, waiting = await asyncio.wait(asked, timeout=LOOK_AGAIN_EVERY / 2)
    assert len(waiting) <= MOST_WAITING
    assert {(await answer).status_code for answer in asked} == {401}


def test_the_memory_of_genuine_tokens_is_bounded_and_forgets_the_oldest() -> None:
    memory = VerifiedTokens(limit=2)
    claims = [Claims(uuid4(), uuid4(), "user", 0, "kid", 0, "jti") for _ in range(3)]
    for number, claim in enumerate(claims):
        memory.remember(f"token {number}", claim)
    assert len(memory) == 2
    assert [memory.find_claims(f"token {number}") for number in range(3)] == [None, *claims[1:]]


async def test_a_head_that_is_too_large_is_a_431_here_too(ada: Client) -> None:
    headers = bearer((await ada.sign_in())["access_token"])
    for large in ({f"X-{number}": "x" for number in range(120)}, {"X-Large": "x" * 17_000}):
        assert_problem(await ada.get("/internal/verify", headers={**headers, **large}), 431, "headers-too-large")
