"""The page of docs/browsers.md, and so the JavaScript client, in a real headless Chromium: tabs, faults, an API."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.browser import Browser, Site
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.javascript_client import put_page
from tests.support.markdown import block
from tests.support.program import uvicorn
from tests.support.server import Server, free_port, wait_until
from tests.support.stand_in import INTERNAL_TOKEN
from tests.support.tcp_proxy import TcpProxy

PAGE = "docs/browsers.md"
LIMIT = 6  # seconds that a tab waits for another one
# Before the page's own script: its clock can be put ahead, as after a sleep, and its refreshes be seen and held,
# and what it sends elsewhere be lost when the test says.
SEEN = """
const now = Date.now, fetched = fetch;
window.ahead = 0;
window.asked = [];
Date.now = () => now() + window.ahead;
window.fetch = (url, options) => {
  const {pathname} = new URL(url.url ?? url, location);
  window.asked.push([pathname, options?.headers?.["Idempotency-Key"]]);
  if (window.holding && pathname === "/auth/refresh") return new Promise(() => {});
  if (window.losing === pathname) return new Promise((_, reject) => { window.lost.push(reject); });
  return fetched(url, options);
};
"""
MODES = {"cookie": "/", "storage": "/storage"}  # and where the page is
UNSURE = "one moment"
REFRESHES = "return window.asked.filter(([path]) => path === '/auth/refresh').map(([, key]) => key)"


in_both_modes = pytest.mark.parametrize("mode", MODES)


class Place:
    """The page's own site, the service behind a proxy, and the browser with one tab of the page that is signed in."""

    def __init__(self, browser: Browser, app: Site, proxy: TcpProxy, server: Server, path: str) -> None:
        self.browser, self.app, self.proxy, self.server, self.path = browser, app, proxy, server, path

    def sign_in(self) -> str:
        """Sign somebody new in, in the tab that is open, and return the e-mail address."""
        email = f"{uuid4().hex[:8]}@example.com"
        account = {"email": email, "password": PASSWORD}
        httpx.post(self.server.base_url + "/auth/register", json=account, trust_env=False).raise_for_status()
        self.browser.type("email", email)
        self.browser.type("password", PASSWORD)
        self.browser.click("#sign-in button")
        self.shows(email)
        return email

    def open_tab(self) -> str:
        return self.browser.open_tab(self.app.origin() + self.path)

    def shows(self, who: str, within: float = 30) -> None:
        """Wait until the tab that is open shows this."""
        began = monotonic()
        self.browser.wait_for_text("#who", who)
        assert monotonic() - began < within

    @property
    def who(self) -> str:
        return str(self.browser.run("return document.getElementById('who').value"))

    def refreshes(self) -> list[str]:
        """The keys of the refreshes of the tab that is open."""
        found: list[str] = self.browser.run(REFRESHES)
        return found

    def later(self, seconds: float) -> None:
        """Let the page's clock go ahead, as while its machine sleeps; its timers know nothing of it."""
        self.browser.run(f"window.ahead += {seconds} * 1000")

    def happen(self, event: str, target: str = "window") -> None:
        self.browser.run(f"{target}.dispatchEvent(new Event('{event}'))")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the tab that is open, as a browser does with tabs in the background."""
        tab = self.browser.driver.current_window_handle
        self.browser.driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})
        try:
            yield
        finally:
            self.browser.switch_to(tab)
            self.browser.driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "active"})


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, javascript_client: Path
) -> Iterator[tuple[Site, TcpProxy, Server]]:
    """A service behind a proxy that can break, the site of the page, and the API: the samples of the pages."""
    folder = tmp_path_factory.mktemp("browsers")
    with Site() as app:
        env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", AUTH_COOKIES__ENABLED="true")
        env |= {"AUTH_CORS__ORIGINS": app.origin(), "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN}
        env |= {"AUTH_THROTTLE__ENABLED": "false"}
        port = free_port()
        with TcpProxy(port) as proxy:
            url = f"http://localhost:{proxy.port}"
            with Server({**env, "AUTH_PUBLIC_URL": url}, folder, port=port) as server:
                server.wait_ready(60)
                (folder / "orders.py").write_text(block("docs/verifying.md", "run: orders"))
                allowed = block(PAGE, "run: api").replace("https://app.example.com", app.origin())
                (folder / "api.py").write_text(allowed)
                inside = {"INTERNAL_AUTH_URL": server.base_url, "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN}
                with uvicorn("api:app", folder, {"AUTH_PUBLIC_URL": url, **inside}) as api:
                    for mode, path in MODES.items():
                        page = put_page(app, javascript_client, url, api, mode)
                        app.pages[path] = page.replace("<title>", f"<script>{SEEN}</script><title>")
                    app.pages["/elsewhere"] = "<!doctype html><title>elsewhere</title>"
                    yield app, proxy, server


@pytest.fixture
def mode() -> str:
    """Where the refresh token is, unless a test says otherwise."""
    return "cookie"


@pytest.fixture
def place(browser: Browser, service: tuple[Site, TcpProxy, Server], mode: str) -> Iterator[Place]:
    """One tab with the page, where nobody is signed in; whatever a test opens is closed."""
    app, proxy, server = service
    first = browser.driver.current_window_handle
    browser.open(app.origin() + MODES[mode])
    found = Place(browser, app, proxy, server, MODES[mode])
    wait_until(lambda: found.who not in {"", UNSURE}, 30, lambda: "the page does not know who is signed in")
    browser.click("#sign-out")  # not by deleting the cookie: an answer that is still under way would bring it back
    found.shows("nobody")
    yield found
    proxy.pass_through()
    for tab in browser.driver.window_handles:
        if tab != first:
            browser.switch_to(tab)
            browser.driver.close()
    browser.switch_to(first)


@runs(PAGE, "run: page")
@in_both_modes
def test_a_sign_in_and_a_sign_out_are_seen_in_all_tabs_within_two_seconds(place: Place) -> None:
    first, second = place.browser.driver.current_window_handle, place.open_tab()
    place.shows("nobody")
    place.browser.switch_to(first)
    for _ in range(2):
        email = place.sign_in()
        place.browser.switch_to(second)
        place.shows(email, within=2)
        place.browser.click("#sign-out")
        place.shows("nobody")
        place.browser.switch_to(first)
        place.shows("nobody", within=2)


def test_somebody_else_who_signs_in_in_one_tab_is_seen_in_the_others(place: Place) -> None:
    place.sign_in()
    first, _ = place.browser.driver.current_window_handle, place.open_tab()
    email = place.sign_in()
    place.browser.switch_to(first)
    place.shows(email, within=2)


@in_both_modes
def test_a_tab_whose_refresh_never_ends_holds_up_no_other(place: Place) -> None:
    email = place.sign_in()
    first = place.browser.driver.current_window_handle
    before = len(place.refreshes())
    place.browser.run("window.holding = true")
    place.later(400)
    place.happen("online")
    wait_until(lambda: len(place.refreshes()) > before, 10, lambda: "it did not look")
    place.open_tab()
    place.shows(email, within=LIMIT + 4)
    for _ in range(2):  # the lock was taken away, so nobody waits for it a second time
        place.browser.driver.refresh()
        place.shows(email, within=3)
    place.browser.click("#sign-out")
    place.shows("nobody", within=3)
    place.browser.switch_to(first)
    place.shows("nobody", within=2)


@in_both_modes
def test_a_tab_that_is_frozen_in_a_refresh_holds_up_no_other_and_goes_on_itself(place: Place) -> None:
    email = place.sign_in()
    place.proxy.silence()
    place.later(400)
    place.happen("online")
    with place.frozen():
        place.proxy.pass_through()  # the answer comes, and the tab does not see it
        second = place.open_tab()
        place.shows(email, within=LIMIT + 4)
        place.browser.driver.refresh()
        place.shows(email, within=3)
    place.shows(email)
    place.browser.driver.refresh()
    place.shows(email)
    place.browser.switch_to(second)
    place.browser.driver.refresh()
    place.shows(email)


def test_a_tab_that_is_frozen_while_another_one_signs_out_is_out_when_it_wakes(place: Place) -> None:
    place.sign_in()
    with place.frozen():
        place.open_tab()
        place.browser.wait_for_text("#who", "@")
        place.browser.click("#sign-out")
        place.shows("nobody")
    place.shows("nobody", within=3)


@in_both_modes
def test_lost_answers_a_reload_and_an_outage_end_nothing(place: Place, mode: str) -> None:
    email = place.sign_in()
    before = len(place.refreshes())
    place.proxy.reset_counters()
    place.proxy.swallow_answers()
    place.later(400)
    place.happen("online")
    wait_until(lambda: place.proxy.bytes_down > 0, 10, lambda: "no answer was swallowed")
    keys = place.refreshes()[before:]
    place.browser.driver.refresh()  # in the middle of it
    place.later(400)
    place.happen("online")
    wait_until(lambda: len(place.refreshes()) > 0, 10, lambda: "no refresh after the reload")
    keys += place.refreshes()
    place.proxy.refuse()
    place.proxy.reset()
    wait_until(lambda: len(place.refreshes()) > 2, 20, lambda: "it did not try again")
    keys += place.refreshes()
    assert len(set(keys)) == 1
    place.proxy.pass_through()
    place.shows(email if mode == "cookie" else "signed in")  # by itself
    place.browser.click("#show-orders")
    place.browser.wait_for_text("#orders", '"orders":[]')
    assert "key" not in place.browser.run("return Object.values(localStorage).join()")


def test_a_service_that_never_answers_is_asked_again(place: Place) -> None:
    email = place.sign_in()
    place.proxy.silence()
    place.later(400)
    place.happen("online")
    wait_until(lambda: len(place.refreshes()) > 2, 20, lambda: "it waits for ever")
    assert place.who == email
    place.browser.click("#show-orders")
    place.browser.wait_for_text("#orders", "try again later")
    place.proxy.pass_through()
    place.browser.click("#show-orders")
    place.browser.wait_for_text("#orders", '"orders":[]')


def test_an_outage_is_not_seen_while_the_access_token_is_good(place: Place) -> None:
    email = place.sign_in()
    before = len(place.refreshes())
    place.proxy.refuse()
    place.proxy.reset()
    place.happen("resume", "document")
    wait_until(lambda: len(place.refreshes()) > before, 10, lambda: "it did not look")
    assert place.who == email
    place.browser.click("#show-orders")
    place.browser.wait_for_text("#orders", '"orders":[]')


@pytest.mark.parametrize("wakes_by", ["online", "visibilitychange", "pageshow", "resume"])
def test_a_page_that_wakes_looks_again(place: Place, wakes_by: str) -> None:
    email = place.sign_in()
    place.later(4000)
    if wakes_by == "pageshow":
        place.browser.run("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    else:
        place.happen(wakes_by, "window" if wakes_by == "online" else "document")
    wait_until(lambda: len(place.refreshes()) == 2, 10, lambda: "it did not look")
    place.shows(email)


def test_a_page_that_comes_back_by_the_back_button_goes_on(place: Place) -> None:
    email = place.sign_in()
    place.browser.open(place.app.origin() + "/elsewhere")
    place.browser.driver.back()
    place.shows(email)
    place.browser.click("#show-orders")
    place.browser.wait_for_text("#orders", '"orders":[]')


@runs(PAGE, "run: api")
def test_the_page_calls_an_api_of_another_origin(place: Place) -> None:
    place.sign_in()
    place.browser.click("#show-orders")
    place.browser.wait_for_text("#orders", '"orders":[]')


def test_a_token_that_the_api_refuses_is_renewed_once(place: Place) -> None:
    refused = """
    const good = fetch;
    window.calls = [];
    window.fetch = (request, options) => {
      if (!request.url?.endsWith("/orders")) return good(request, options);
      const token = request.headers.get("Authorization");
      window.calls.push(token);
      if (window.calls.length <= window.refused) request.headers.set("Authorization", token.slice(0, -8) + "AAAAAAAA");
      return good(request);
    };
    """
    place.sign_in()
    place.browser.run(refused)
    for times, shown, calls in ((0, '"orders":[]', 1), (1, '"orders":[]', 2), (2, "try again later", 2)):
        place.browser.run(f"window.calls = []; window.refused = {times}")
        before = len(place.refreshes())
        place.browser.run("document.getElementById('orders').value = ''")
        place.browser.click("#show-orders")
        place.browser.wait_for_text("#orders", shown)
        assert len(place.browser.run("return window.calls")) == calls
        assert len(place.refreshes()) - before == calls - 1
    assert "@" in place.who


@pytest.mark.parametrize(
    ("mode", "said"),
    [("cookie", "Signing out has failed: try again later"), ("storage", "Signed out on this device only")],
)
def test_a_sign_out_that_fails_says_so(place: Place, mode: str, said: str) -> None:
    email = place.sign_in()
    place.proxy.refuse()
    place.proxy.reset()
    place.browser.click("#sign-out")
    place.shows(said)
    place.proxy.pass_through()
    place.browser.driver.refresh()
    place.shows(email if mode == "cookie" else "nobody")


@pytest.mark.parametrize("mode", ["storage"])
def test_a_sign_out_that_fails_says_nothing_of_who_has_signed_in_since(place: Place) -> None:
    place.sign_in()
    place.browser.run("window.losing = '/auth/logout'; window.lost = []; window.began = performance.now()")
    place.browser.click("#sign-out")
    place.shows("nobody")
    email = place.sign_in()
    # Three tries, or fewer where the time for all of them was over before.
    lose = "window.lost.forEach((lose) => lose(new TypeError()))"
    ended = f"{lose}; return window.lost.length > 2 || performance.now() - window.began > 6000"
    wait_until(lambda: place.browser.run(ended), 10, lambda: "it did not try again")
    assert place.who == email


def test_many_refreshes_of_two_tabs_in_turn_and_at_once_keep_both_signed_in(place: Place) -> None:
    email = place.sign_in()
    tabs = [place.browser.driver.current_window_handle, place.open_tab()]
    place.shows(email)
    for _ in range(5):
        for tab in tabs:
            place.browser.switch_to(tab)
            place.browser.run("for (let n = 0; n < 10; n++) { document.dispatchEvent(new Event('resume')); }")
            place.browser.driver.refresh()
    for tab in tabs:
        place.browser.switch_to(tab)
        place.shows(email)


def test_the_page_leaves_no_error_behind(place: Place) -> None:
    place.browser.complaints()
    place.sign_in()
    place.browser.click("#show-orders")
    place.browser.wait_for_text("#orders", '"orders":[]')
    place.browser.click("#sign-out")
    place.shows("nobody")
    assert [line for line in place.browser.complaints() if "favicon" not in line] == []
