"""What owners do with the factors that they have: new recovery codes, and the end of a factor."""

from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.problems import assert_problem


async def test_new_recovery_codes_end_the_ones_from_before(ada: Client) -> None:
    app = await Authenticator.add(ada, await ada.sign_in())
    answer = await ada.renew_recovery_codes(app.tokens["access_token"])
    assert answer.headers["cache-control"] == "no-store"
    codes = answer.raise_for_status().json()["recovery_codes"]
    assert len(set(codes)) == 10
    assert set(codes).isdisjoint(app.recovery_codes)
    refused = await ada.second_factor(await ada.challenge(), app.recovery_codes[0])
    assert_problem(refused, 401, "invalid-second-factor")
    assert (await ada.second_factor(await ada.challenge(), codes[0])).status_code == 200


async def test_without_a_factor_there_is_nothing_to_recover(ada: Client) -> None:
    tokens = await ada.sign_in()
    assert_problem(await ada.renew_recovery_codes(tokens["access_token"]), 404, "not-found")


async def test_nobody_removes_the_factor_of_somebody_else(ada: Client) -> None:
    app = await Authenticator.add(ada, await ada.sign_in())
    (await ada.register("bob@example.com")).raise_for_status()
    bobs = await ada.sign_in("bob@example.com")
    assert_problem(await ada.remove_factor(bobs["access_token"], app.id), 404, "not-found")
    assert (await ada.factors(app.tokens["access_token"]))["recovery_codes_left"] == 10


async def test_whoever_changes_factors_too_often_waits(make_client: MakeClient) -> None:
    client = await make_client(throttle={"changes": 2})
    (await client.register("ada@example.com")).raise_for_status()
    tokens = await client.sign_in()
    assert [(await client.begin_totp(tokens["access_token"])).status_code for _ in range(3)] == [201, 201, 429]
