"""How surely and recently somebody signed in: required by path, told to the application, and what else is answered."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import pytest

from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.forge import MISSING, open_forge, part
from tests.support.gateway_places import Place, Service, User
from tests.support.postgres import Postgres

CHALLENGE = 'Bearer error="insufficient_user_authentication", error_description='
SPELLINGS = ["", "/", "/x", "/x?acr=aal1&max_age=999999", "?acr=aal1", ".json", "%2Fx", ";x=1"]


@dataclass(frozen=True)
class Grace:
    """A user with a second factor: as of now, and as of an hour after the sign-in."""

    now: User
    later: User


@pytest.fixture(scope="module")
def grace(service: Service, postgres: Postgres, gateways_database: str) -> Grace:
    async def signed_in() -> Grace:
        async with Client(base_url=f"http://127.0.0.1:{service.port}", trust_env=False, timeout=30) as client:
            user_id = (await client.register("grace@example.com")).raise_for_status().json()["id"]
            app = await Authenticator.add(client, await client.sign_in("grace@example.com"))
            session_id = UUID(app.tokens["session_id"])
            ago = f"UPDATE refresh_tokens SET authenticated_at = now() - interval '1 hour' WHERE id = '{session_id}'"
            postgres.execute(ago, gateways_database)
            refreshed = (await client.refresh(app.tokens["refresh_token"])).raise_for_status().json()
            return Grace(User(user_id, app.tokens), User(user_id, refreshed))

    return asyncio.run(signed_in())


def test_the_application_is_told_how_and_when_somebody_signed_in(
    place: Place, ada: User, grace: Grace, mark: str
) -> None:
    for user, acr, amr in (
        (ada, "aal1", "pwd"),
        (grace.now, "aal2", "pwd otp mfa"),
        (grace.later, "aal2", "pwd otp mfa"),
    ):
        assert place.client.get(f"/app/{mark}", headers=user.headers).status_code == 200
        got = place.heard(mark)[-1]
        assert (got.values("X-Auth-Acr"), got.values("X-Auth-Amr")) == ([acr], [amr])
        assert got.values("X-Auth-Time") == [str(part(user.tokens["access_token"], 1)["auth_time"])]


def test_a_second_factor_of_the_last_minutes_opens_what_needs_it(place: Place, grace: Grace, mark: str) -> None:
    answer = place.client.get(f"/app/payments/{mark}?x=1", headers=grace.now.headers)
    assert answer.status_code == 200
    (got,) = place.heard(mark)
    assert got.target == f"/app/payments/{mark}?x=1"
    assert (got.values("X-Auth-User"), got.values("X-Auth-Acr")) == ([grace.now.id], ["aal2"])


def test_who_is_not_sure_or_recent_enough_is_told_what_is_asked_for(
    place: Place, ada: User, grace: Grace, mark: str
) -> None:
    for user in (ada, grace.later):
        for verb in ("GET", "HEAD", "POST", "DELETE"):
            answer = place.client.request(verb, f"/app/payments/{mark}", headers=user.headers)
            (challenge,) = answer.headers.get_list("WWW-Authenticate")
            assert answer.status_code == 401
            assert challenge.startswith(CHALLENGE)
            assert challenge.endswith('", max_age="300", acr_values="aal2 phr"')
    assert place.heard(mark) == []


def test_who_is_not_signed_in_is_told_that_there(place: Place, mark: str) -> None:
    answer = place.client.get(f"/app/payments/{mark}")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert place.heard(mark) == []


def test_a_token_that_does_not_say_how_its_user_signed_in_opens_what_asks_for_nothing_alone(
    place: Place, ada: User, postgres: Postgres, gateways_database: str, mark: str
) -> None:
    """As of a service from before the claims; what the client says of itself does not stand in for them. Whether the
    application then gets an empty header or none is the gateway's way.
    """
    forge = asyncio.run(open_forge(postgres.url(gateways_database), ada.tokens["access_token"]))
    token = forge.signed(claims=dict.fromkeys(("auth_time", "acr", "amr"), MISSING))
    said = {"X-Auth-Acr": "phr", "X-Auth-Amr": "hwk user", "X-Auth-Time": "9999999999"}
    headers = {"Authorization": f"Bearer {token}", **said}
    assert place.client.get(f"/app/payments/{mark}", headers=headers).status_code == 401
    assert place.client.get(f"/app/{mark}", headers=headers).status_code == 200
    (got,) = place.heard(mark)
    assert got.values("X-Auth-User") == [ada.id]
    for name in said:
        assert not any(got.values(name)), name


def test_no_spelling_of_the_path_gets_around_it(place: Place, ada: User, mark: str) -> None:
    for path in ("payments", "PAYMENTS", "%70ayments", "p%61yments"):
        for rest in SPELLINGS:
            target = f"/app/{path}{rest}{'&' if '?' in rest else '?'}{mark}"
            answer = place.client.get(target, headers=ada.headers)
            assert answer.status_code in {400, 401}, (path, rest)
    assert place.heard(mark) == []
