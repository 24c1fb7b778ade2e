"""The dependency for FastAPI: who is let in, and what the others are told."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from auth_service.api.http.problems.table import PROBLEMS
from auth_service.errors import access, unavailable
from auth_service.errors import refused as services
from auth_service.testing.kit import AuthKit
from auth_service.verifier import Claims, Verifier
from auth_service.verifier.errors import (
    InsufficientAuthentication,
    InsufficientRole,
    InvalidToken,
    MissingToken,
    Refused,
    ServiceError,
    Unavailable,
)
from auth_service.verifier.fastapi import install, requires
from tests.support.polling import eventually
from tests.support.stand_in import StandIn
from tests.support.verifiers import following


def make_app(verifier: Verifier, **options: Any) -> FastAPI:
    """An application with a route for anybody who is signed in, one for admins, and an open one."""
    app = FastAPI(**options)
    install(app, verifier)

    @app.get("/mine")
    @app.post("/mine")
    @app.delete("/mine")
    async def mine(user: Annotated[Claims, Depends(requires(verifier))]) -> dict[str, str]:
        return {"user": str(user.user_id), "session": str(user.session_id)}

    everything = APIRouter(dependencies=[Depends(requires(verifier, "admin", "auditor"))])

    @everything.get("/all")
    async def all_of_it() -> list[str]:
        return ["everything"]

    @app.get("/open")
    async def anybody() -> str:
        return "hello"

    app.include_router(everything)
    return app


@pytest.fixture
async def http(kit: AuthKit) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=make_app(kit.verifier))
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
        yield client


def assert_refused(answer: httpx.Response, refused: type[Refused], challenge: str | None) -> None:
    assert answer.status_code == refused.status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers.get("WWW-Authenticate") == challenge
    assert answer.json() == refused().problem("https://auth.test")
    assert answer.json()["type"] == f"https://auth.test/problems/{refused.code}"


async def test_a_route_learns_who_the_bearer_is(http: httpx.AsyncClient, kit: AuthKit) -> None:
    user_id, session_id = uuid4(), uuid4()
    for method in ("GET", "POST", "DELETE"):
        answer = await http.request(method, "/mine", headers=kit.headers(user_id, session_id=session_id))
        assert answer.status_code == 200
        assert answer.json() == {"user": str(user_id), "session": str(session_id)}


async def test_an_open_route_asks_for_nothing(http: httpx.AsyncClient, kit: AuthKit) -> None:
    for headers in ({}, {"Authorization": f"Bearer {kit.expired()}"}):
        assert (await http.get("/open", headers=headers)).status_code == 200


@pytest.mark.parametrize("role", ["admin", "auditor"])
async def test_one_of_the_roles_is_enough(http: httpx.AsyncClient, kit: AuthKit, role: str) -> None:
    assert (await http.get("/all", headers=kit.headers(roles=["user", role]))).status_code == 200


async def test_a_bearer_without_the_role_is_forbidden(http: httpx.AsyncClient, kit: AuthKit) -> None:
    for roles in (["user"], ["Admin"], ["adminx"], ["user", "admin/x"]):
        answer = await http.get("/all", headers=kit.headers(roles=roles))
        assert_refused(answer, InsufficientRole, 'Bearer error="insufficient_scope"')


async def test_every_bad_token_gets_the_same_401(http: httpx.AsyncClient, kit: AuthKit) -> None:
    bad = [kit.expired(), kit.for_another_audience(), kit.revoked(), kit.forged(roles=["admin"]), "x", "a.b.c"]
    for token in bad:
        for path in ("/mine", "/all"):
            answer = await http.get(path, headers={"Authorization": f"Bearer {token}"})
            assert_refused(answer, InvalidToken, 'Bearer error="invalid_token"')


async def test_why_a_token_is_refused_is_in_the_log_without_the_token_and_in_no_answer(
    http: httpx.AsyncClient, kit: AuthKit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "auth_service.verifier")
    for token, why in ((kit.expired(), "ExpiredSignatureError"), (kit.revoked(), "its session has ended")):
        answer = await http.get("/mine", headers={"Authorization": f"Bearer {token}"})
        assert f"not let in: invalid-access-token {why}" in caplog.text
        assert why not in answer.text
        assert token not in caplog.text


async def test_a_token_in_any_other_place_is_none(http: httpx.AsyncClient, kit: AuthKit) -> None:
    token = kit.token(roles=["admin"])
    requests: list[dict[str, Any]] = [
        {},
        {"headers": {"Authorization": token}},
        {"headers": {"Authorization": f"Basic {token}"}},
        {"headers": {"Authorization": f"Bearer {token}, Bearer {token}"}},
        {"headers": [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]},
        {"headers": {"X-Auth-User": str(uuid4()), "X-Auth-Role": "admin"}},
        {"params": {"access_token": token}},
        {"cookies": {"access_token": token}},
    ]
    for request in requests:
        http.cookies = httpx.Cookies(request.pop("cookies", {}))
        assert_refused(await http.get("/all", **request), MissingToken, "Bearer")


async def test_a_service_that_is_down_from_the_start_is_a_503_and_never_a_401(kit: AuthKit, stand_in: StandIn) -> None:
    stand_in.stop()
    verifier = following(stand_in)
    app = make_app(verifier)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://orders.test") as http,
    ):
        for token in (kit.token(), kit.forged()):
            answer = await http.get("/mine", headers={"Authorization": f"Bearer {token}"})
            assert_refused(answer, Unavailable, None)
            assert answer.headers["Retry-After"] == "1"
        stand_in.start()

        async def works() -> bool:
            return (await http.get("/mine", headers=kit.headers())).status_code == 200

        await eventually(works)


async def test_the_verifier_lives_as_long_as_the_app_and_so_does_the_apps_own_lifespan(
    kit: AuthKit, stand_in: StandIn
) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def own(_app: FastAPI) -> AsyncIterator[dict[str, int]]:
        await verifier.verify(kit.token())  # it has started by now
        seen.append("started")
        yield {"mine": 1}
        seen.append("ended")

    verifier = following(stand_in)
    app = make_app(verifier, lifespan=own)
    async with app.router.lifespan_context(app) as state:
        assert state == {"mine": 1}
    assert seen == ["started", "ended"]
    with pytest.raises(ServiceError, match="is closed"):
        await verifier.service.keys(None)


async def test_the_openapi_document_says_which_routes_need_a_token(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    scheme = document["components"]["securitySchemes"]["access_token"]
    assert scheme == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    needs = {path: "security" in next(iter(verbs.values())) for path, verbs in document["paths"].items()}
    assert needs == {"/mine": True, "/all": True, "/open": False}


@pytest.mark.parametrize(
    ("refused", "own"),
    [
        (MissingToken, access.MissingAccessToken),
        (InvalidToken, access.InvalidAccessToken),
        (InsufficientAuthentication, access.StepUpRequired),
        (InsufficientRole, access.InsufficientRole),
        (Unavailable, unavailable.Unavailable),
    ],
)
def test_refusals_use_the_services_own_words(refused: type[Refused], own: type[services.Refused]) -> None:
    problem = PROBLEMS[refused.code]
    assert (problem.status, problem.title) == (refused.status, refused.title)
    assert (own.code, own.detail) == (refused.code, refused.detail)
