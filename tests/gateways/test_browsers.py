"""The page of docs/browsers.md with the JavaScript client, in a real Chromium before each gateway."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import environment
from tests.support.browser import Browser, Site
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.echo_upstream import EchoUpstream
from tests.support.gateway_places import INTERNAL_TOKEN, Fleet, Place, Service
from tests.support.gateways import Kind
from tests.support.javascript_client import put_page
from tests.support.markdown import block
from tests.support.page import COOKIE
from tests.support.postgres import Postgres
from tests.support.program import uvicorn

PAGE = "docs/browsers.md"
MODES = {"cookie": "/", "storage": "/storage"}  # and where the page is
AHEAD = "const now = Date.now; window.ahead = 0; Date.now = () => now() + window.ahead"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture(scope="module")
def service(
    site: Site, postgres: Postgres, gateways_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One more service on the same database, set up for the page."""
    settings = {"AUTH_COOKIES__ENABLED": "true", "AUTH_CORS__ORIGINS": site.origin()}
    settings |= {"AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN, "AUTH_PROXY__TRUSTED": "127.0.0.1/32"}
    running = Service(environment(postgres.url(gateways_database), **settings), tmp_path_factory.mktemp("browsers"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def fleet(service: Service, upstream: EchoUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(service, upstream, tmp_path_factory.mktemp("gateways"), stack)


@pytest.fixture(scope="module")
def api(service: Service, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an API of one's own, which is the sample of the pages."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "orders.py").write_text(block("docs/verifying.md", "run: orders"))
    (folder / "api.py").write_text(block(PAGE, "run: api").replace("https://app.example.com", site.origin()))
    inside = {"INTERNAL_AUTH_URL": f"http://127.0.0.1:{service.port}", "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN}
    with uvicorn("api:app", folder, {"AUTH_PUBLIC_URL": "http://127.0.0.1:8000", **inside}) as url:
        yield url


@pytest.fixture(scope="module")
def put_pages(site: Site, api: str, javascript_client: Path) -> Callable[[str], None]:
    """Puts up the page in each mode, for the service with this URL."""

    def put(url: str) -> None:
        for mode in MODES:
            put_page(site, javascript_client, url, api, mode)

    return put


@pytest.fixture
def place(kind: Kind, fleet: Fleet, site: Site, browser: Browser, put_pages: Callable[[str], None]) -> Iterator[Place]:
    """A gateway, and the page in a tab of a browser without cookies; other tabs are closed afterwards."""
    found = fleet.place(kind)
    put_pages(f"http://localhost:{found.port}")
    browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    first = browser.driver.current_window_handle
    with browser.before_pages(AHEAD):
        browser.open(site.origin())
        yield found
        for tab in browser.driver.window_handles:
            if tab != first:
                browser.switch_to(tab)
                browser.driver.close()
        browser.switch_to(first)


@runs(PAGE, "run: page", "run: api")
@runs("docs/verifying.md", "run: orders")
@pytest.mark.parametrize("mode", MODES)
def test_the_page_signs_in_goes_on_calls_an_api_and_signs_out_in_both_tabs(
    place: Place, browser: Browser, site: Site, mode: str
) -> None:
    kept = cookie if mode == "cookie" else stored
    email = f"ada.{uuid4().hex}@example.com"
    place.client.post("/auth/register", json={"email": email, "password": PASSWORD}).raise_for_status()
    browser.open(site.origin() + MODES[mode])
    browser.wait_for_text("#who", "nobody")
    browser.type("email", email)
    browser.type("password", PASSWORD)
    browser.click("#sign-in button")
    browser.wait_for_text("#who", email)
    signed_in = kept(browser)

    browser.run("window.ahead += 400_000")  # as after a sleep: the access token has expired
    browser.click("#show-orders")
    browser.wait_for_text("#orders", '"orders":[]')
    assert kept(browser) != signed_in, "the client has refreshed"
    browser.driver.refresh()
    browser.wait_for_text("#who", email)

    first = browser.driver.current_window_handle
    second = browser.open_tab(site.origin() + MODES[mode])
    browser.wait_for_text("#who", email)
    browser.click("#sign-out")
    browser.wait_for_text("#who", "nobody")
    assert "art_" not in f"{browser.driver.get_cookies()} {browser.run('return JSON.stringify(localStorage)')}"
    for tab in (first, second):
        browser.switch_to(tab)
        browser.wait_for_text("#who", "nobody")
        browser.driver.refresh()
        browser.wait_for_text("#who", "nobody")


def test_a_page_that_is_not_listed_gets_nothing_through_the_gateway(place: Place, browser: Browser) -> None:
    url = f"http://localhost:{place.port}"
    email = f"ada.{uuid4().hex}@example.com"
    account = {"email": email, "password": PASSWORD}
    place.client.post("/auth/register", json=account).raise_for_status()
    assert browser.post(f"{url}/auth/login", account)["status"] == 200
    with Site() as stranger:
        browser.open(stranger.origin())
        assert browser.post(f"{url}/auth/refresh", {}) == "TypeError: Failed to fetch"
    forged = {"Origin": stranger.origin(), "X-Auth-Cookie": "1", "Cookie": f"{COOKIE}={cookie(browser)}"}
    answer = place.client.post("/auth/refresh", json={}, headers=forged)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross-site-request")


def cookie(browser: Browser) -> str:
    """The refresh token, as the browser's own tools show it and no page can."""
    (found,) = browser.driver.get_cookies()
    assert (found["name"], found["httpOnly"], found["secure"], found["sameSite"]) == (COOKIE, True, True, "Strict")
    return str(found["value"])


def stored(browser: Browser) -> str:
    """The refresh token in the storage of the page."""
    (record,) = browser.run("return Object.values(localStorage).map(JSON.parse).filter((kept) => kept.refresh_token)")
    assert browser.driver.get_cookies() == []
    return str(record["refresh_token"])
