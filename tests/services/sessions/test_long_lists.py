"""An account with tens of thousands of ended sessions: it makes no answer long, keeps nobody waiting, and shrinks."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from auth_service.models import DELETED_SESSIONS, REFRESH_TOKENS
from auth_service.services.operations.cleanup import Cleanup
from tests.conftest import MakeClient
from tests.support.admins import Admin
from tests.support.client import Client
from tests.support.gateway_places import INTERNAL_TOKEN
from tests.support.outbox import services_of
from tests.support.problems import assert_problem
from tests.support.sessions import HOUR, add_ended

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
MANY = 2000
MOST_KEPT = 200  # with those that are alive
GUARD = {"X-Internal-Token": INTERNAL_TOKEN}


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    return await make_client(internal_token=INTERNAL_TOKEN)


async def ada_with(client: Client, number: int, ago: timedelta = HOUR) -> tuple[str, Sequence[UUID]]:
    """Register ada with so many ended sessions; return her id and theirs."""
    ada = (await client.register("ada@example.com")).raise_for_status().json()["id"]
    return ada, await add_ended(services_of(client).gauges.database, UUID(ada), number, ago)


def ended_in(items: Sequence[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items if item["ended_reason"]]


async def test_an_account_with_thousands_of_ended_sessions_makes_no_list_long(client: Client) -> None:
    await ada_with(client, MANY)
    token = (await client.sign_in())["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = await client.get("/auth/sessions?ended=true", headers=headers)
    assert len(answer.json()["items"]) == 50
    assert len(answer.content) < 50_000
    for wrong in ("limit=101", "limit=0", "cursor=none", "cursor=" + "f" * 32):
        assert_problem(await client.get(f"/auth/sessions?{wrong}", headers=headers), 422, "validation-error")
    everything = await client.sessions(token, ended=True)
    assert len({item["id"] for item in everything}) == len(everything) == MANY - 500 + 1
    assert everything == sorted(everything, key=lambda item: (item["created_at"], item["id"]), reverse=True)
    alive = await client.page_of_sessions(token, limit=1)
    assert ([item["current"] for item in alive["items"]], alive["next_cursor"]) == ([True], None)


async def test_an_administrator_reads_such_an_account_in_pages_too(client: Client) -> None:
    admin = await Admin.of(client)
    ada, ended = await ada_with(client, 120)
    first = await admin.show(ada, ended=True)
    assert len(first["sessions"]) == 50
    second = await admin.show(ada, ended=True, limit=100, cursor=first["next_cursor"])
    assert (len(second["sessions"]), second["next_cursor"]) == (70, None)
    assert [item["id"] for item in first["sessions"] + second["sessions"]] == [str(session) for session in ended]
    assert_problem(await admin.call("GET", f"/{ada}?limit=101"), 422, "validation-error")


async def test_two_hundred_ended_sessions_are_kept_and_the_others_go_without_a_trace_in_the_feed(
    client: Client,
) -> None:
    database = services_of(client).gauges.database
    ada, long_ago = await ada_with(client, 450)
    just_ended = await add_ended(database, UUID(ada), MOST_KEPT + 20, timedelta(seconds=1))
    kept, gone = just_ended[: MOST_KEPT - 1], just_ended[MOST_KEPT - 1 :]
    token = (await client.sign_in())["access_token"]
    assert ended_in(await client.sessions(token, ended=True)) == [str(session) for session in kept]
    await Cleanup(database).delete_expired(5000)
    async with database.statement() as tx:
        left = (await tx.connection.execute(select(func.count()).select_from(REFRESH_TOKENS))).scalar_one()
        traces = set((await tx.connection.execute(select(DELETED_SESSIONS.c.session_id))).scalars())
    assert left == MOST_KEPT
    assert traces == set(gone), "whose access tokens may be around, and no other"
    feed = (await client.get("/internal/revocations", headers=GUARD)).json()["sids"]
    assert not {str(session) for session in long_ago} & set(feed)


async def test_sign_ins_and_sign_outs_without_end_leave_two_hundred_ended_sessions(make_client: MakeClient) -> None:
    client = await make_client(throttle={"enabled": False}, sessions={"max_per_user": 2})
    (await client.register("ada@example.com")).raise_for_status()
    for _ in range(MOST_KEPT + 20):
        tokens = await client.sign_in()
        await client.logout(tokens["refresh_token"])
    token = (await client.sign_in())["access_token"]
    assert len(ended_in(await client.sessions(token, ended=True))) == MOST_KEPT - 1


async def test_the_export_of_such_an_account_leaves_in_small_pieces(client: Client) -> None:
    _, ended = await ada_with(client, 900)
    token = (await client.sign_in())["access_token"]
    pieces: list[bytes] = []
    requests: Iterator[dict[str, Any]] = iter([{"type": "http.request", "body": b"", "more_body": False}])
    scope = {
        "type": "http", "method": "GET", "path": "/auth/me/export", "raw_path": b"/auth/me/export", "scheme": "http",
        "query_string": b"", "http_version": "1.1", "client": ("127.0.0.1", 1), "root_path": "",
        "headers": [(b"host", b"auth.example"), (b"authorization", f"Bearer {token}".encode())],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        for request in requests:
            return request
        await asyncio.Event().wait()  # it never hangs up
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        pieces.append(message.get("body", b""))

    transport: Any = client._transport
    await transport.app(scope, receive, send)
    document = json.loads(b"".join(pieces))
    assert len(document["sessions"]) == 900 - 500 + 1
    assert ended_in(document["sessions"])[: MOST_KEPT - 1] == [str(session) for session in ended[: MOST_KEPT - 1]]
    assert [event["event"] for event in document["events"]][-1] == "account.registered"
    assert max(map(len, pieces)) < 150_000
