"""The session on the requests of an `httpx2` client: to the service, and to an API that takes its tokens."""

import asyncio
from collections.abc import Iterator

import httpx2
import pytest
from auth_service_client import AsyncAuthClient, AuthClient, StepUpAsked

from auth_service.testing.double import Double
from tests.support.client import PASSWORD
from tests.support.python_client import sign_in


@pytest.fixture
def auth(auth_double: Double) -> Iterator[AuthClient]:
    with AuthClient(auth_double.url) as made:
        sign_in(made)
        yield made


class Api:
    """What an API has answered; it refuses the first `refusals` tokens, and wants `surer` ones for a POST."""

    def __init__(self, refusals: int = 0, surer: str = "") -> None:
        self.refusals, self.surer = refusals, surer
        self.seen: list[tuple[str, bytes]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append((request.headers["Authorization"], request.read()))
        if len(self.seen) <= self.refusals:
            return httpx2.Response(401, headers={"WWW-Authenticate": 'Bearer realm="x", error="invalid_token"'})
        if self.surer and request.headers["Authorization"] != f"Bearer {self.surer}":
            asked = 'Bearer error="insufficient_user_authentication", max_age="300", acr_values="aal2 phr"'
            return httpx2.Response(401, headers={"WWW-Authenticate": asked})
        return httpx2.Response(200)


def test_requests_carry_the_token_and_a_refused_one_is_renewed_once(auth: AuthClient) -> None:
    for refusals, status in ((0, 200), (1, 200), (2, 401)):
        api = Api(refusals)
        with httpx2.Client(transport=httpx2.MockTransport(api), auth=auth.bearer()) as http:
            answer = http.post("https://api.example.com/orders", content=iter([b"one", b" body"]))
        assert answer.status_code == status
        assert len({token for token, _ in api.seen}) == len(api.seen) == min(refusals, 1) + 1
        assert {body for _, body in api.seen} == {b"one body"}, "a stream is sent again, whole"


def test_another_refusal_is_no_reason_to_refresh(auth: AuthClient) -> None:
    def forbidden(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    before = auth.access_token()
    with httpx2.Client(transport=httpx2.MockTransport(forbidden), auth=auth.bearer()) as http:
        assert http.get("https://api.example.com").status_code == 401
    assert auth.access_token() == before


def test_an_api_that_wants_to_be_surer_gets_the_token_of_the_hook(auth: AuthClient) -> None:
    asked: list[StepUpAsked] = []

    def step_up(what: StepUpAsked) -> str | None:
        asked.append(what)
        return "surer" if len(asked) == 1 else None

    api = Api(surer="surer")
    with httpx2.Client(transport=httpx2.MockTransport(api), auth=auth.bearer(step_up)) as http:
        assert http.post("https://api.example.com").status_code == 200
        assert http.post("https://api.example.com").status_code == 401, "the user did not want to"
    assert asked == [StepUpAsked(("aal2", "phr"), 300)] * 2


def test_the_service_itself_is_called_with_it_and_after_its_step_up(auth: AuthClient, auth_double: Double) -> None:
    def step_up(what: StepUpAsked) -> str:
        assert what.max_age == 600
        return auth.step_up(password=PASSWORD)

    with httpx2.Client(base_url=auth_double.url, auth=auth.bearer(step_up)) as http:
        assert http.get("/auth/me").status_code == 200
        auth_double.set_clock(3600)
        assert http.get("/auth/me/export").status_code == 200


def test_asynchronous_requests_do_the_same(auth_double: Double) -> None:
    async def journey() -> None:
        async with AsyncAuthClient(auth_double.url) as auth:
            await auth.sign_up("async@example.com", PASSWORD)
            await auth.sign_in(PASSWORD, email="async@example.com")

            async def step_up(what: StepUpAsked) -> str | None:
                return "surer" if "aal2" in what.acr_values else None

            api = Api(refusals=1, surer="surer")
            async with httpx2.AsyncClient(transport=httpx2.MockTransport(api), auth=auth.bearer(step_up)) as http:
                assert (await http.post("https://api.example.com", content=b"once")).status_code == 200
            assert [body for _, body in api.seen] == [b"once"] * 3

    asyncio.run(journey())


def test_a_bearer_on_a_client_of_the_other_kind_sends_nothing(auth: AuthClient, auth_double: Double) -> None:
    async def wrong() -> None:
        async with httpx2.AsyncClient(auth=auth.bearer()) as http:
            await http.get(auth_double.url)

    with pytest.raises(TypeError, match="AsyncAuthClient"):
        asyncio.run(wrong())
    with (
        httpx2.Client(auth=AsyncAuthClient(auth_double.url).bearer()) as http,
        pytest.raises(TypeError, match="AuthClient"),
    ):
        http.get(auth_double.url)
