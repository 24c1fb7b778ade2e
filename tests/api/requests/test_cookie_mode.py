"""Sessions of browsers, whose refresh token travels in a cookie: the same guarantees as in a body, on each database."""

import asyncio
from http.cookies import SimpleCookie

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.page import COOKIE, Page
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

FOURTEEN_DAYS = 14 * 24 * 3600  # in seconds


@pytest.fixture
async def page(make_client: MakeClient) -> Page:
    """A page of ours, with the account ada@example.com to sign in to."""
    return await open_page(await make_client(cookies={"enabled": True}))


async def open_page(client: Client) -> Page:
    (await client.register("ada@example.com")).raise_for_status()
    return Page(client)


async def test_the_refresh_token_travels_in_a_cookie_that_scripts_cannot_read_and_never_in_a_body(page: Page) -> None:
    for ask in (page.login, page.refresh):
        answer = await ask()
        body = answer.raise_for_status().json()
        assert set(body) == {"access_token", "token_type", "expires_in", "refresh_expires_in", "session_id"}
        assert page.cookie
        assert page.cookie not in answer.text
        assert "art_" not in answer.text
        assert answer.headers.get_list("set-cookie") == [
            f"{COOKIE}={page.cookie}; Max-Age={body['refresh_expires_in']}; Path=/; Secure; HttpOnly; SameSite=Strict"
        ]
        assert FOURTEEN_DAYS - 60 < body["refresh_expires_in"] <= FOURTEEN_DAYS
        assert (await page.client.me(body["access_token"])).status_code == 200


async def test_each_refresh_rotates_the_cookie_and_the_session_goes_on(page: Page) -> None:
    session = (await page.login()).json()["session_id"]
    seen = {page.cookie}
    for _ in range(3):
        assert (await page.refresh()).json()["session_id"] == session
        seen.add(page.cookie)
    assert len(seen) == 4


async def test_logout_ends_the_session_and_takes_the_cookie_back(page: Page) -> None:
    access_token = (await page.login()).json()["access_token"]
    kept = page.cookie
    answer = await page.logout()
    assert answer.status_code == 204
    cleared = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert (cleared.value, cleared["max-age"], cleared["path"]) == ("", "0", "/")
    assert cleared["secure"]
    assert page.cookie is None
    assert (await page.client.me(access_token)).status_code == 401
    page.cookie = kept
    assert_problem(await page.refresh(), 401, "invalid-refresh-token")


async def test_logout_without_a_cookie_is_a_204_too(page: Page) -> None:
    assert (await page.logout()).status_code == 204


async def test_a_browser_that_is_not_signed_in_is_told_so_and_loses_nothing_that_another_tab_has_got_meanwhile(
    page: Page,
) -> None:
    answer = await page.refresh()
    assert_problem(answer, 401, "invalid-refresh-token")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("rubbish", ["x", "art_x", '"art_x"'])
async def test_a_dead_cookie_is_taken_back(page: Page, rubbish: str) -> None:
    page.cookie = rubbish
    answer = await page.refresh()
    assert_problem(answer, 401, "invalid-refresh-token")
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=; Max-Age=0; ")
    assert page.cookie is None


async def test_tabs_that_refresh_at_once_get_the_same_cookie_and_stay_signed_in(page: Page) -> None:
    await page.login()
    answers = await asyncio.gather(*(page.send("/auth/refresh", {}) for _ in range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    cookies = {answer.headers["set-cookie"].partition(";")[0] for answer in answers}
    assert len(cookies) == 1
    assert (await page.refresh()).status_code == 200
    assert (await page.refresh()).status_code == 200


async def test_a_lost_answer_is_given_again(page: Page) -> None:
    await page.login()
    lost = await page.send("/auth/refresh", {})
    again = await page.refresh()
    assert again.headers["set-cookie"].partition(";")[0] == lost.headers["set-cookie"].partition(";")[0]


async def test_with_its_idempotency_key_a_lost_answer_is_given_again_after_the_grace(make_client: MakeClient) -> None:
    page = await open_page(await make_client(cookies={"enabled": True}, tokens={"refresh_grace": 0}))
    await page.login()
    lost = await page.send("/auth/refresh", {}, Idempotency_Key="mine")
    again = await page.refresh(Idempotency_Key="mine")
    assert again.status_code == 200
    assert again.headers["set-cookie"].partition(";")[0] == lost.headers["set-cookie"].partition(";")[0]
    assert (await page.refresh()).status_code == 200


async def test_cookie_theft_ends_the_session_for_both(make_client: MakeClient) -> None:
    owner = await open_page(await make_client(cookies={"enabled": True}, tokens={"refresh_grace": 0}))
    await owner.login()
    thief = Page(owner.client)
    thief.cookie = owner.cookie
    assert (await owner.refresh()).status_code == 200
    assert_problem(await thief.refresh(), 401, "invalid-refresh-token")
    assert_problem(await owner.refresh(), 401, "invalid-refresh-token")
    assert owner.cookie is None


async def test_an_outage_is_a_503_that_leaves_the_cookie_alone(make_client: MakeClient, postgres_url: str) -> None:
    page = await open_page(await make_client(postgres_url, cookies={"enabled": True}))
    await page.login()
    kept = page.cookie
    await run_sql(postgres_url, "ALTER TABLE refresh_tokens RENAME TO gone")
    for answer in (await page.refresh(), await page.logout(), await page.login()):
        assert answer.status_code == 503
        assert "set-cookie" not in answer.headers
    await run_sql(postgres_url, "ALTER TABLE gone RENAME TO refresh_tokens")
    assert page.cookie == kept
    assert (await page.refresh()).status_code == 200


async def test_clients_without_a_browser_go_on_with_bodies_beside_it(page: Page) -> None:
    native = page.client
    tokens = await native.sign_in()
    refreshed = (await native.refresh(tokens["refresh_token"])).raise_for_status()
    assert refreshed.json()["refresh_token"] != tokens["refresh_token"]
    assert (await native.logout(refreshed.json()["refresh_token"])).status_code == 204
    for answer in (refreshed, await native.login()):
        assert "set-cookie" not in answer.headers
