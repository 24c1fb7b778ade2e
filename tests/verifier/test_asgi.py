"""The middleware for any ASGI application: nobody gets past it without a token."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Unavailable
from auth_service.verifier.asgi import Receive, Scope, Send, VerifierMiddleware
from auth_service.verifier.errors import ServiceError
from tests.support.claims import runs
from tests.support.markdown import block
from tests.support.stand_in import StandIn
from tests.support.verifiers import following


class Inner:
    """A bare application that says who the bearer is, and counts how often it was reached."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append(scope["type"])
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            claims = scope.get("claims")
            body = json.dumps({"user": str(claims.user_id) if claims else None}).encode()
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})


@pytest.fixture
def inner() -> Inner:
    return Inner()


@pytest.fixture
async def http(kit: AuthKit, inner: Inner) -> AsyncIterator[httpx.AsyncClient]:
    names: dict[str, Any] = {"app": inner, "verifier": kit.verifier}
    exec(block("docs/verifying.md", "run: middleware"), names)  # noqa: S102  # that the page's code runs is the test
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=names["app"]), base_url="http://orders.test"
    ) as client:
        yield client


@runs("docs/verifying.md", "run: middleware")
async def test_the_application_finds_the_claims_in_the_scope(http: httpx.AsyncClient, kit: AuthKit) -> None:
    user_id = uuid4()
    answer = await http.get("/any/path", headers=kit.headers(user_id, roles=["admin"]))
    assert answer.json() == {"user": str(user_id)}


async def test_nobody_else_reaches_the_application(http: httpx.AsyncClient, kit: AuthKit, inner: Inner) -> None:
    for path in ("/", "/health/", "//health", "/Health", "/health/../x", "/%68ealth/x"):
        for headers, status in (({}, 401), ({"Authorization": f"Bearer {kit.revoked()}"}, 401), (kit.headers(), 403)):
            answer = await http.request("POST", path, headers=headers)
            assert answer.status_code == status
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.json()["status"] == status
    assert inner.reached == []


async def test_a_public_path_asks_for_nothing_and_gives_no_claims(http: httpx.AsyncClient, kit: AuthKit) -> None:
    assert (await http.get("/health", headers=kit.headers())).json() == {"user": None}


async def test_a_websocket_without_a_token_is_closed_before_it_is_accepted(kit: AuthKit, inner: Inner) -> None:
    app = VerifierMiddleware(inner, kit.verifier)
    good = kit.headers()["Authorization"].encode()
    for headers, kind in (([], "websocket.close"), ([(b"authorization", good)], "websocket.accept")):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message["type"])

        await app({"type": "websocket", "path": "/", "headers": headers}, _never, send)
        assert sent == [kind]


async def test_the_verifier_lives_as_long_as_the_application(kit: AuthKit, stand_in: StandIn, inner: Inner) -> None:
    verifier = following(stand_in)
    app = VerifierMiddleware(inner, verifier)
    events = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        if sent:
            await verifier.verify(kit.token())
        return {"type": next(events)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ServiceError, match="is closed"):
        await verifier.service.keys(None)


async def test_an_application_with_a_wrong_internal_token_does_not_start(stand_in: StandIn) -> None:
    inner, sent = Inner(), []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append((message["type"], message["message"]))

    app = VerifierMiddleware(inner, following(stand_in, internal_token="wrong" * 4))
    await app({"type": "lifespan"}, receive, send)
    ((kind, why),) = sent
    assert (kind, "refuses the internal token" in why, inner.reached) == ("lifespan.startup.failed", True, [])


async def test_an_application_that_takes_no_lifespan_events_lets_nobody_in(kit: AuthKit, stand_in: StandIn) -> None:
    verifier = following(stand_in)

    async def deaf(_scope: Scope, _receive: Receive, _send: Send) -> None:
        """As many do: what is no request is no business of theirs."""

    app = VerifierMiddleware(deaf, verifier)
    await app({"type": "lifespan"}, _never, _send_nothing)
    with pytest.raises(Unavailable):
        await verifier.verify(kit.token())


async def _send_nothing(_message: Any) -> None:
    raise AssertionError("nothing is sent")


async def _never() -> dict[str, Any]:
    raise AssertionError("nothing is received")
