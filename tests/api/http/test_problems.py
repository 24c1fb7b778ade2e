"""Every error is `application/problem+json` with a page that explains it."""

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from auth_service.api.http.problems.table import PROBLEMS
from auth_service.database.replica import NotAReplica, ReplicaBehind
from auth_service.errors import AccessDenied, Refused
from auth_service.services.signing_keys.lifecycle import KeyKnown, KeyUnreadable, NoSuchKey, RotationUnderWay
from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.document import document
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

PUBLIC_URL = "https://id.example.com/v1"
ACCOUNT = {"email": "ada@example.com", "password": PASSWORD}
BEARER = {"Authorization": "Bearer a.b.c"}

# The problem, and the request of someone who is not signed in and gets it.
REFUSALS: list[tuple[int, str, str, str, dict[str, Any]]] = [
    (400, "malformed-json", "POST", "/auth/login", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    (401, "invalid-credentials", "POST", "/auth/login", {"json": {**ACCOUNT, "password": "wrong"}}),
    (401, "invalid-refresh-token", "POST", "/auth/refresh", {"json": {"refresh_token": "art_unknown"}}),
    (401, "missing-access-token", "GET", "/auth/me", {}),
    (401, "invalid-access-token", "GET", "/auth/me", {"headers": BEARER}),
    (404, "not-found", "GET", "/nowhere", {}),
    (404, "not-found", "POST", "/auth/login/", {"json": ACCOUNT}),
    (404, "not-found", "GET", "/problems/unheard-of", {}),
    (405, "method-not-allowed", "GET", "/auth/login", {}),
    (409, "account-exists", "POST", "/auth/register", {"json": ACCOUNT}),
    (413, "body-too-large", "POST", "/auth/login", {"json": {**ACCOUNT, "password": "x" * 17_000}}),
    (413, "body-too-large", "POST", "/nowhere", {"content": b"x" * 17_000}),
    (413, "body-too-large", "GET", "/auth/me", {"content": b"x" * 17_000}),
    (415, "unsupported-media-type", "POST", "/auth/login", {"content": b"{}"}),
    (422, "validation-error", "POST", "/auth/login", {"json": {}}),
    (422, "password-too-short", "POST", "/auth/register", {"json": {**ACCOUNT, "password": "x" * 14}}),
    (422, "password-too-long", "POST", "/auth/register", {"json": {**ACCOUNT, "password": "x" * 257}}),
    (431, "headers-too-large", "GET", "/health/live", {"headers": {"X-Long": "x" * 17_000}}),
    (431, "headers-too-large", "GET", "/health/live", {"headers": {f"X-{number}": "x" for number in range(101)}}),
]

# The refusals that no client gets, and why.
NOT_OVER_HTTP: dict[type[Refused], str] = {
    Refused: "it is what the others are, and is never raised itself",
    AccessDenied: "it is what some others are, and is never raised itself",
    NotAReplica: "the read goes to the primary instead",
    ReplicaBehind: "the read goes to the primary instead",
    NoSuchKey: "only `auth-service keys revoke` is refused by it",
    KeyUnreadable: "only `auth-service keys rewrap` is refused by it",
    RotationUnderWay: "only `auth-service keys rotate` and `keys import` are refused by it",
    KeyKnown: "only `auth-service keys import` is refused by it",
}
# Words that are not the code of a class: the rules of the password policy, and a status of the framework's.
OTHER_WORDS = {"password-too-short", "password-too-long", "password-blocklisted", "method-not-allowed"}


def kinds_of(refused: type[Refused]) -> set[type[Refused]]:
    """The class and all that derive from it: those of the modules that the app has imported."""
    return {refused}.union(*(kinds_of(kind) for kind in refused.__subclasses__()))


def test_every_refusal_that_reaches_a_client_has_its_row_and_no_row_is_without() -> None:
    words = {kind.code for kind in kinds_of(Refused) - NOT_OVER_HTTP.keys()}
    assert words | OTHER_WORDS == set(PROBLEMS)
    assert {kind.code for kind in NOT_OVER_HTTP} & set(PROBLEMS) == set()


# Problems that only programs cause and developers see: their sentences speak of what was sent.
OF_PROGRAMS = {
    "malformed-json", "bad-request", "invalid-request", "request-timeout", "body-too-large", "headers-too-large",
    "unsupported-media-type", "invalid-internal-token", "preflight-refused", "cross-site-request", "shutting-down",
}  # fmt: skip
JARGON = re.compile(r"/[a-z]+|AUTH_|\b(tokens?|headers?|challenge|bearer|JSON|HTTP|cookie|sid|body|path)\b")


@pytest.mark.parametrize("kind", sorted(kinds_of(Refused) - NOT_OVER_HTTP.keys(), key=str))
def test_what_a_form_shows_of_a_problem_is_a_sentence_for_people(kind: type[Refused]) -> None:
    told = getattr(kind, "public_detail", kind.detail)
    if kind.code not in OF_PROGRAMS:
        assert not JARGON.search(f"{told} {PROBLEMS[kind.code].title}")
        assert re.fullmatch(r"[A-Z].*\.", told) or kind.code == "account-exists"  # whose words others rely on


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal[1]} of {refusal[3]}")
async def test_a_refusal_is_a_problem(
    make_client: MakeClient, refusal: tuple[int, str, str, str, dict[str, Any]]
) -> None:
    status, code, method, path, arguments = refusal
    client = await make_client(public_url=PUBLIC_URL)
    await client.register("ada@example.com")
    answer = await client.request(method, path, **arguments)
    assert_problem(answer, status, code, PUBLIC_URL)


async def test_a_public_url_with_a_slash_at_its_end_gives_the_same_types(make_client: MakeClient) -> None:
    client = await make_client(public_url=PUBLIC_URL + "/")
    assert_problem(await client.get("/nowhere"), 404, "not-found", PUBLIC_URL)


@pytest.mark.parametrize("code", PROBLEMS)
async def test_the_type_of_a_problem_leads_to_a_page_that_explains_it(client: Client, code: str) -> None:
    page = await client.get(f"/problems/{code}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert code in page.text
    assert str(PROBLEMS[code].status) in page.text
    assert "://" not in page.text  # nothing is loaded from elsewhere


async def test_a_fault_of_our_own_is_a_500_that_tells_nothing_of_the_row(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url)
    fault = "CREATE TRIGGER fault BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'the secret of the trigger'); END"
    await run_sql(database_url, fault)
    answer = await client.register("ada@example.com")
    assert_problem(answer, 500, "internal-error")
    _assert_silent_about(answer, "trigger", "users", "ada@", PASSWORD, "sqlite")


async def test_a_check_violation_on_postgresql_is_a_500_that_tells_nothing_of_the_row(
    make_client: MakeClient, postgres_url: str
) -> None:
    client = await make_client(postgres_url)
    await run_sql(postgres_url, "ALTER TABLE users ADD CONSTRAINT ck_impossible CHECK (role = 'nobody')")
    answer = await client.register("ada@example.com")
    assert_problem(answer, 500, "internal-error")
    _assert_silent_about(answer, "ck_impossible", "users", "ada@", PASSWORD, "postgres")


async def test_a_missing_table_is_a_503_that_tells_nothing_of_the_statement(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url)
    await run_sql(database_url, "DROP TABLE users")
    for answer in (await client.register("ada@example.com"), await client.login("ada@example.com")):
        assert_problem(answer, 503, "schema-not-ready")
        _assert_silent_about(answer, "users", "ada@", "SELECT", "sqlite", "no such")


async def test_a_full_hashing_lane_is_a_503(make_client: MakeClient) -> None:
    slow = {"argon2_memory_kib": 19456, "argon2_time_cost": 10}
    client = await make_client(hashing={"threads": 1, "queue": 0}, password=slow)
    answers = await asyncio.gather(*(client.login("nobody@example.com") for _ in range(5)))
    full = [answer for answer in answers if answer.status_code == 503]
    assert full
    for answer in full:
        assert_problem(answer, 503, "overloaded")


@pytest.mark.parametrize("path", sorted({*document()["paths"]} - {"/internal/verify"}))  # that takes every method
async def test_an_undeclared_method_is_a_405_that_names_the_declared_ones(client: Client, path: str) -> None:
    declared = {method.upper() for method in document()["paths"][path]}
    declared |= {"HEAD", "OPTIONS"} if "GET" in declared else {"OPTIONS"}  # which are answered for us
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"} - declared:
        answer = await client.request(method, re.sub(r"{\w+}", str(uuid4()), path))
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == declared
        if method != "HEAD":
            assert_problem(answer, 405, "method-not-allowed")


async def test_a_request_without_an_id_gets_a_new_one(client: Client) -> None:
    answers = [await client.get("/nowhere") for _ in range(2)]
    assert len({UUID(answer.headers["x-request-id"]) for answer in answers}) == 2


def _assert_silent_about(answer: httpx.Response, *words: str) -> None:
    text = answer.text.casefold()
    assert not [word for word in words if word.casefold() in text]
