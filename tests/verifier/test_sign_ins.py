"""How sure and how recent a sign-in must be: the dependency for FastAPI and the middleware ask alike (RFC 9470)."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from auth_service.testing.kit import AuthKit
from auth_service.verifier import InsufficientAuthentication, Unavailable, Verifier
from auth_service.verifier.asgi import VerifierMiddleware
from auth_service.verifier.fastapi import install, requires
from auth_service.verifier.sign_ins import Level
from tests.support.forge import part
from tests.support.polling import eventually
from tests.support.stand_in import StandIn
from tests.support.verifiers import following

LEEWAY = 60  # seconds
CHALLENGE = f'Bearer error="insufficient_user_authentication", error_description="{InsufficientAuthentication.detail}"'
WAYS = ["fastapi", "asgi"]
ALL: list[Level] = ["aal1", "aal2", "phr"]
NO_REQUIREMENTS: list[dict[str, Any]] = [
    {"acr": "aal3"}, {"acr": ""}, {"acr": "AAL2"}, {"acr": ["aal2"]}, {"max_age": -1}, {"max_age": "300"},
    {"max_age": 1.5}, {"max_age": True},
]  # fmt: skip


def made(way: str, verifier: Verifier, *roles: str, **required: Any) -> Any:
    """An application that lets in whoever signed in as required."""
    app = FastAPI()
    dependencies = [Depends(requires(verifier, *roles, **required))] if way == "fastapi" else []

    @app.get("/", dependencies=dependencies)
    async def hello() -> str:
        return "hello"

    if way == "asgi":
        return VerifierMiddleware(app, verifier, roles=roles, **required)
    install(app, verifier)
    return app


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Asked:
    """Asks an application with a requirement, by one of the two ways."""

    def __init__(self, kit: AuthKit, way: str) -> None:
        self._kit, self._way = kit, way

    async def answer(self, required: dict[str, Any], token: str, *roles: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=made(self._way, self._kit.verifier, *roles, **required))
        async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as http:
            return await http.get("/", headers={"Authorization": f"Bearer {token}"})

    async def is_let_in(self, required: dict[str, Any], token: str) -> bool:
        answer = await self.answer(required, token)
        assert answer.status_code in {200, 401}
        return answer.status_code == 200


@pytest.fixture
def asked(kit: AuthKit, way: str) -> Asked:
    return Asked(kit, way)


async def test_a_surer_sign_in_will_do_and_a_less_sure_one_not(asked: Asked, kit: AuthKit) -> None:
    for wanted in ALL:
        for had in ALL:
            is_enough = ALL.index(had) >= ALL.index(wanted)
            assert await asked.is_let_in({"acr": wanted}, kit.token(acr=had)) == is_enough, (wanted, had)


async def test_a_class_that_is_not_known_is_never_enough(asked: Asked, kit: AuthKit) -> None:
    for unknown in ("aal3", "phrh", "AAL2", "aal2x", "0"):
        token = kit._signed(kit._key, part(kit.token(), 1) | {"acr": unknown})
        assert await asked.is_let_in({}, token)
        for wanted in ALL:
            assert not await asked.is_let_in({"acr": wanted}, token), (unknown, wanted)


async def test_a_sign_in_is_recent_up_to_its_last_second_and_the_leeway(asked: Asked, kit: AuthKit) -> None:
    for ago, is_recent in ((0, True), (300 + LEEWAY - 20, True), (300 + LEEWAY + 1, False), (10**6, False)):
        token = kit.token(auth_time=int(time.time()) - ago)
        assert await asked.is_let_in({"max_age": 300}, token) == is_recent, ago
        assert await asked.is_let_in({"max_age": 10**7}, token)
        assert await asked.is_let_in({}, token)


async def test_a_sign_in_after_the_token_is_not_recent(asked: Asked, kit: AuthKit) -> None:
    """As it is said when the clock of the auth service's database was set back between the two."""
    now = int(time.time())
    assert await asked.is_let_in({"max_age": 300}, kit.token(iat=now, auth_time=now))
    assert not await asked.is_let_in({"max_age": 300}, kit.token(iat=now, auth_time=now + 1))


async def test_both_may_be_asked_for_and_each_is_needed(asked: Asked, kit: AuthKit) -> None:
    required, old = {"acr": "aal2", "max_age": 300}, int(time.time()) - 1_000
    assert await asked.is_let_in(required, kit.token(acr="aal2"))
    assert not await asked.is_let_in(required, kit.token(acr="aal1"))
    assert not await asked.is_let_in(required, kit.token(acr="aal2", auth_time=old))


async def test_a_token_that_does_not_say_is_the_weakest_and_never_recent(asked: Asked, kit: AuthKit) -> None:
    """As of an auth service from before the claims."""
    for required, is_let_in in (
        ({}, True),
        ({"acr": "aal1"}, True),
        ({"acr": "aal2"}, False),
        ({"max_age": 10**9}, False),
    ):
        assert await asked.is_let_in(required, kit.token(acr=None)) == is_let_in, required


@pytest.mark.parametrize(
    ("required", "members", "parameters"),
    [
        ({"acr": "aal2"}, {"acr_values": "aal2 phr"}, ', acr_values="aal2 phr"'),
        ({"acr": "phr"}, {"acr_values": "phr"}, ', acr_values="phr"'),
        ({"max_age": 300}, {"max_age": 300}, ', max_age="300"'),
        ({"max_age": 0}, {"max_age": 0}, ', max_age="0"'),
        (
            {"acr": "aal1", "max_age": 1},
            {"max_age": 1, "acr_values": "aal1 aal2 phr"},
            ', max_age="1", acr_values="aal1 aal2 phr"',
        ),
    ],
)
async def test_the_answer_says_what_is_asked_for(
    asked: Asked, kit: AuthKit, required: dict[str, Any], members: dict[str, Any], parameters: str
) -> None:
    answer = await asked.answer(required, kit.token(auth_time=int(time.time()) - 1_000))
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert answer.headers.get_list("WWW-Authenticate") == [CHALLENGE + parameters]
    assert answer.json() == InsufficientAuthentication().problem(kit.issuer) | members
    assert answer.json()["type"] == "https://auth.test/problems/step-up-required"


async def test_who_lacks_the_role_is_told_that_which_no_sign_in_would_change(asked: Asked, kit: AuthKit) -> None:
    answer = await asked.answer({"acr": "aal2"}, kit.token(), "admin")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (403, 'Bearer error="insufficient_scope"')
    answer = await asked.answer({"acr": "aal2"}, kit.token(roles=["admin"]), "admin")
    assert answer.json()["code"] == "step-up-required"


async def test_a_bad_token_is_never_worth_a_step_up(asked: Asked, kit: AuthKit) -> None:
    for token in (kit.expired(), kit.forged(acr="phr"), kit.revoked(acr="phr"), kit.for_another_audience()):
        answer = await asked.answer({"acr": "aal2", "max_age": 1}, token)
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("required", NO_REQUIREMENTS, ids=str)
async def test_a_requirement_that_nobody_could_meet_is_an_error_where_it_is_written(
    kit: AuthKit, way: str, required: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(required))} must be"):
        made(way, kit.verifier, **required)
    with pytest.raises(ValueError, match=f"{next(iter(required))} must be"):
        await kit.verifier.verify(kit.token(), **required)


async def test_the_claims_say_when_and_how(kit: AuthKit) -> None:
    when = int(time.time()) - 5
    methods = {"aal1": ("pwd",), "aal2": ("pwd", "otp", "mfa"), "phr": ("hwk", "user")}
    for acr in ALL:
        claims = await kit.verifier.verify(kit.token(acr=acr, auth_time=when))
        assert (claims.acr, claims.amr) == (acr, methods[acr])
        assert claims.auth_time == datetime.fromtimestamp(when, UTC)
    claims = await kit.verifier.verify(kit.token(acr="phr", amr=["swk", "user"]))
    assert claims.amr == ("swk", "user")
    claims = await kit.verifier.verify(kit.token(acr=None))
    assert (claims.auth_time, claims.acr, claims.amr) == (None, None, ())


@pytest.mark.parametrize("required", [{"acr": "aal1"}, {"max_age": 1_000}], ids=str)
async def test_what_asks_for_a_sign_in_is_closed_as_soon_as_what_asks_for_a_role(
    kit: AuthKit, stand_in: StandIn, required: dict[str, Any]
) -> None:
    async with following(stand_in, fail_closed_after_for_roles=0.2) as verifier:
        token = kit.token()
        await verifier.verify(token, **required)
        stand_in.status = 500

        async def is_closed() -> bool:
            try:
                await verifier.verify(token, **required)
            except Unavailable:
                return True
            return False

        await eventually(is_closed)
        await verifier.verify(token)
