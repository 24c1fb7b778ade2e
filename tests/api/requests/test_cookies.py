"""What a request must have so that the refresh cookie is looked at. The sessions behind it: `test_cookie_mode.py`."""

from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.page import COOKIE, ORIGIN, Page
from tests.support.problems import assert_problem, faults

APP = "https://app.example.com"
ROUTES: dict[str, dict[str, Any]] = {
    "/auth/login": {"email": "ada@example.com", "password": PASSWORD},
    "/auth/refresh": {},
    "/auth/logout": {},
}


@pytest.fixture
async def page(make_client: MakeClient) -> Page:
    """A page of ours that is signed in."""
    client = await make_client(cookies={"enabled": True}, cors={"origins": APP})
    (await client.register("ada@example.com")).raise_for_status()
    found = Page(client)
    (await found.login()).raise_for_status()
    return found


async def is_signed_in(page: Page) -> bool:
    page.headers["Origin"] = ORIGIN
    return (await page.refresh()).status_code == 200


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.test", APP + ".evil.test", APP + "/", APP.upper(), "http://app.example.com",
     "https://127.0.0.1:8000", "http://127.0.0.1", "http://127.0.0.1:8001", ""],
)  # fmt: skip
async def test_cross_site_request_forgery_from_an_unlisted_origin_is_refused(
    page: Page, path: str, origin: str
) -> None:
    page.headers["Origin"] = origin
    answer = await page.post(path, ROUTES[path])
    assert_problem(answer, 403, "cross-site-request")
    assert "set-cookie" not in answer.headers
    assert await is_signed_in(page)


@pytest.mark.parametrize("path", ROUTES)
async def test_a_request_without_an_origin_or_with_two_is_refused(page: Page, path: str) -> None:
    cookie = ("Cookie", f"{COOKIE}={page.cookie}")
    for origins in (
        [],
        [("Origin", ORIGIN), ("Origin", ORIGIN)],
        [("Origin", ORIGIN), ("Origin", "https://evil.test")],
    ):
        headers = [*origins, cookie, ("X-Auth-Cookie", "1")]
        assert_problem(await page.client.post(path, json=ROUTES[path], headers=headers), 403, "cross-site-request")
    assert await is_signed_in(page)


@pytest.mark.parametrize("origin", [ORIGIN, APP])
async def test_our_own_pages_and_listed_ones_may_use_it(page: Page, origin: str) -> None:
    page.headers["Origin"] = origin
    for path, body in ROUTES.items():
        answer = await page.post(path, body)
        assert answer.is_success
        assert answer.headers["set-cookie"].startswith(f"{COOKIE}=")


async def test_host_header_poisoning_makes_no_origin_our_own(page: Page) -> None:
    page.headers["Origin"] = "https://evil.test"
    poison = dict.fromkeys(["Host", "X-Forwarded-Host"], "evil.test") | {"X-Forwarded-Proto": "https"}
    answer = await page.refresh(**poison)
    assert_problem(answer, 403, "cross-site-request")
    page.headers["Origin"] = ORIGIN
    answer = await page.refresh(**poison)
    assert "evil.test" not in str(answer.headers)
    assert "domain" not in answer.headers["set-cookie"].lower()


async def test_a_cookie_without_the_header_is_not_looked_at(page: Page) -> None:
    del page.headers["X-Auth-Cookie"]
    for path in ("/auth/refresh", "/auth/logout"):
        answer = await page.send(path, {})
        assert_problem(answer, 422, "validation-error")
        assert faults(answer) == [("refresh_token", "required")]
        other = await page.send(path, {"refresh_token": "art_other"})
        assert other.status_code == (401 if path == "/auth/refresh" else 204)
        assert "set-cookie" not in other.headers
    page.headers["X-Auth-Cookie"] = "1"
    assert await is_signed_in(page)


@pytest.mark.parametrize("values", [["0"], ["true"], [""], ["1", "1"], ["1", "0"], ["1, 1"]])
async def test_the_header_says_1_once(page: Page, values: list[str]) -> None:
    headers = [("Origin", ORIGIN), ("Cookie", f"{COOKIE}={page.cookie}")] + [("X-Auth-Cookie", v) for v in values]
    for path, body in ROUTES.items():
        answer = await page.client.post(path, json=body, headers=headers)
        assert_problem(answer, 422, "validation-error")
        assert "set-cookie" not in answer.headers
    assert await is_signed_in(page)


async def test_cookie_tossing_with_two_cookies_of_the_name_is_refused(page: Page) -> None:
    own, planted = f"{COOKIE}={page.cookie}", f"{COOKIE}=art_planted"
    for path in ("/auth/refresh", "/auth/logout"):
        for lines in ([f"{own}; {planted}"], [f"{planted};{own}"], [own, planted], [f"{own}; {own}"]):
            headers = [*page.headers.items(), *(("Cookie", line) for line in lines)]
            answer = await page.client.post(path, json={}, headers=headers)
            assert_problem(answer, 422, "validation-error")
            assert "art_" not in answer.text
            assert "set-cookie" not in answer.headers
    assert await is_signed_in(page)


@pytest.mark.parametrize(
    "name", ["auth-refresh", "__host-auth-refresh", "__HOST-AUTH-REFRESH", "__Secure-auth-refresh"]
)
async def test_a_cookie_that_a_subdomain_could_set_is_not_looked_at(page: Page, name: str) -> None:
    headers = {**page.headers, "Cookie": f"{name}={page.cookie}"}
    answer = await page.client.post("/auth/refresh", json={}, headers=headers)
    assert_problem(answer, 401, "invalid-refresh-token")
    assert await is_signed_in(page)


async def test_a_token_in_the_body_beside_the_header_is_refused(page: Page) -> None:
    for path in ("/auth/refresh", "/auth/logout"):
        answer = await page.post(path, {"refresh_token": page.cookie})
        assert_problem(answer, 422, "validation-error")
        assert answer.json()["errors"][0]["field"] == "refresh_token"
    assert await is_signed_in(page)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
async def test_login_by_a_form_of_another_page_is_refused(page: Page, media_type: str | None) -> None:
    """What a page can send without a preflight: no header of its own, and none of these is JSON."""
    body = b'{"email": "ada@example.com", "password": "%s", "x": "="}' % PASSWORD.encode()
    headers = {"Origin": "https://evil.test"} | ({"Content-Type": media_type} if media_type else {})
    answer = await page.client.post("/auth/login", content=body, headers=headers)
    assert_problem(answer, 415, "unsupported-media-type")
    assert "set-cookie" not in answer.headers


async def test_it_is_off_by_default_and_then_there_are_no_cookies(client: Client) -> None:
    await client.register("ada@example.com")
    page = Page(client, "https://evil.test")
    answer = await page.login()
    token = answer.json()["refresh_token"]
    page.cookie = token
    refused = await page.refresh()
    assert_problem(refused, 422, "validation-error")
    dead = await page.post("/auth/refresh", {"refresh_token": "art_dead"})
    assert_problem(dead, 401, "invalid-refresh-token")
    page.cookie = "art_other"
    answers = [answer, refused, dead, await page.logout(), await page.post("/auth/refresh", {"refresh_token": token})]
    assert answers[-1].status_code == 200
    assert ["set-cookie" in answer.headers for answer in answers] == [False] * 5
