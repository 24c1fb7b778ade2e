"""The cookie of the refresh token in a real headless Chromium, with the page of docs/browsers.md and with hostile ones.

The service and the page are on `localhost`, where Chromium keeps `Secure` cookies without TLS; ports make other origins
of one site, and `evil.test` is another site.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.authenticator import Authenticator
from tests.support.browser import POST, Browser, Site
from tests.support.claims import runs
from tests.support.client import PASSWORD, Client
from tests.support.gate import gate
from tests.support.javascript_client import put_page
from tests.support.markdown import block
from tests.support.page import COOKIE
from tests.support.postgres import Postgres
from tests.support.server import Server, free_port

ADA, MALLORY, GRACE = "ada@example.com", "mallory@example.com", "grace@example.com"
FAILED = "TypeError: Failed to fetch"


@pytest.fixture(scope="module")
def app() -> Iterator[Site]:
    """The web server whose pages may use the service."""
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def stranger() -> Iterator[Site]:
    """The web server of somebody else: on localhost the same site on another port, and as evil.test another site."""
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def database(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    name = f"browser_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def auth(app: Site, database: str, javascript_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the service as browsers know it, with three accounts."""
    port = free_port()
    url = f"http://localhost:{port}"
    env = environment(
        database,
        AUTH_PUBLIC_URL=url,
        AUTH_COOKIES__ENABLED="true",
        AUTH_CORS__ORIGINS=app.origin(),
        AUTH_DOCS__ENABLED="true",
        DB_STATEMENT_TIMEOUT="60",  # for the one that a test holds up
    )
    with Server(env, tmp_path_factory.mktemp("browser"), port=port) as server:
        server.wait_ready(60)
        for email in (ADA, MALLORY, GRACE):
            account = {"email": email, "password": PASSWORD}
            httpx.post(server.base_url + "/auth/register", json=account, trust_env=False).raise_for_status()
        put_page(app, javascript_client, url)
        app.pages["/empty"] = "<!doctype html><title>empty</title>"
        yield url


@pytest.fixture(autouse=True)
def _one_tab(browser: Browser) -> Iterator[None]:
    """Each test ends with one tab and begins without cookies."""
    browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    first = browser.driver.current_window_handle
    yield
    for tab in browser.driver.window_handles:
        if tab != first:
            browser.switch_to(tab)
            browser.driver.close()
    browser.switch_to(first)


def sign_in(browser: Browser, app: Site, auth: str) -> None:
    """Sign Ada in from an empty page of the app, which stays open."""
    browser.open(app.origin() + "/empty")
    assert browser.post(auth + "/auth/login", {"email": ADA, "password": PASSWORD})["status"] == 200


def signed_in_as(browser: Browser, app: Site, auth: str) -> str | None:
    """Return the session that the browser is signed in with, by a refresh from a page of the app."""
    browser.open(app.origin() + "/empty")
    answer = browser.post(auth + "/auth/refresh", {})
    if answer["status"] == 401:
        return None
    bearer = {"Authorization": f"Bearer {httpx.Response(200, text=answer['body']).json()['access_token']}"}
    me = httpx.get(auth.replace("localhost", "127.0.0.1") + "/auth/me", headers=bearer, trust_env=False)
    return str(me.raise_for_status().json()["email"])


@runs("docs/integrating.md", "run: show errors")
def test_a_form_shows_at_its_inputs_what_is_wrong_with_them(browser: Browser, app: Site, auth: str) -> None:
    browser.open(app.origin() + "/empty")
    browser.run(
        """
        document.body.innerHTML = '<form><input name="email"><input name="password"></form>';
        const script = document.createElement("script");
        script.textContent = arguments[0];
        document.head.append(script);
        """,
        block("docs/integrating.md", "run: show errors"),
    )
    answer = browser.post(auth + "/auth/register", {"email": "nowhere", "password": "short", "emial": ""})
    shown = browser.run(
        """
        const form = document.forms[0], { email, password } = form.elements;
        const others = showErrors(form, JSON.parse(arguments[0]));
        const said = [email.validationMessage, password.validationMessage, others];
        email.dispatchEvent(new Event("input"));
        return [...said, email.validationMessage];
        """,
        answer["body"],
    )
    assert shown == [
        "Must be an e-mail address, such as name@host.example.",
        "The password needs at least 15 characters.",
        ["emial: This field is not known here."],
        "",
    ]


@runs("docs/browsers.md", "run: page")
def test_the_page_signs_in_goes_on_after_a_reload_and_signs_out(browser: Browser, app: Site, auth: str) -> None:
    browser.open(app.origin())
    browser.wait_for_text("#who", "nobody")
    browser.type("email", ADA)
    browser.type("password", "wrong " + PASSWORD)
    browser.click("#sign-in button")
    browser.wait_for_text("#who", "The account or the password is wrong")
    browser.type("password", PASSWORD)
    browser.click("#sign-in button")
    browser.wait_for_text("#who", ADA)
    for _ in range(2):
        browser.driver.refresh()
        browser.wait_for_text("#who", ADA)
    browser.click("#sign-out")
    browser.wait_for_text("#who", "nobody")
    assert browser.driver.get_cookies() == []
    browser.driver.refresh()
    browser.wait_for_text("#who", "nobody")
    assert auth


async def test_the_page_asks_for_the_second_factor_of_an_account_that_has_one(
    browser: Browser, app: Site, auth: str
) -> None:
    async with Client(base_url=auth.replace("localhost", "127.0.0.1"), trust_env=False) as client:
        factor = await Authenticator.add(client, await client.sign_in(GRACE))
    browser.open(app.origin())
    browser.wait_for_text("#who", "nobody")
    browser.type("email", GRACE)
    browser.type("password", PASSWORD)
    for code, shown in ((factor.wrong_code(), "The code or the passkey is wrong"), (factor.recovery_codes[0], GRACE)):
        browser.click("#sign-in button")
        browser.accept(code)
        browser.wait_for_text("#who", shown)


def test_no_script_can_read_the_refresh_token(browser: Browser, app: Site, auth: str) -> None:
    sign_in(browser, app, auth)
    (cookie,) = browser.driver.get_cookies()  # by the browser's own tools
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (COOKIE, True, True, "Strict")
    assert (cookie["domain"], cookie["path"]) == ("localhost", "/")
    answer = browser.post(auth + "/auth/refresh", {})
    readable = browser.run(
        "return [document.cookie, JSON.stringify(await cookieStore.getAll()), JSON.stringify(localStorage)].join()"
    )
    assert "art_" not in f"{answer} {readable}"
    assert COOKIE not in f"{answer} {readable}"


async def test_two_tabs_that_refresh_at_once_both_stay_signed_in(
    browser: Browser, app: Site, auth: str, database: str
) -> None:
    sign_in(browser, app, auth)
    tabs = [browser.driver.current_window_handle, browser.open_tab(app.origin() + "/empty")]
    async with gate(database) as rows:
        await rows.close("SELECT 1 FROM refresh_tokens FOR UPDATE")
        for tab in tabs:
            browser.switch_to(tab)
            browser.driver.execute_script(
                f"window.refreshed = (async (...args) => {{ {POST} }})(arguments[0], {{}}, {{}})",
                auth + "/auth/refresh",
            )
        await rows.wait_for(2)
        await rows.open()
    for tab in tabs:
        browser.switch_to(tab)
        assert browser.run("return (await window.refreshed).status") == 200
    for tab in tabs:
        browser.switch_to(tab)
        assert browser.post(auth + "/auth/refresh", {})["status"] == 200


@pytest.mark.parametrize("host", ["localhost", "evil.test"], ids=["same site", "other site"])
def test_cross_site_request_forgery_by_a_form_moves_nobody_in_or_out(
    browser: Browser, app: Site, stranger: Site, auth: str, host: str
) -> None:
    sign_in(browser, app, auth)
    for path in ("/auth/login", "/auth/refresh", "/auth/logout"):
        stranger.pages["/form"] = (
            f'<!doctype html><form method=post enctype=text/plain action="{auth}{path}">'
            f"""<input name='{{"email":"{MALLORY}","password":"{PASSWORD}","x":"' value='"}}'></form>"""
        )
        browser.open(stranger.origin(host) + "/form")
        browser.driver.execute_script("document.forms[0].submit()")
        browser.wait_for_text("body", "unsupported-media-type")
    assert signed_in_as(browser, app, auth) == ADA


@pytest.mark.parametrize("host", ["localhost", "evil.test"], ids=["same site", "other site"])
def test_cross_site_request_forgery_by_a_script_moves_nobody_in_or_out(
    browser: Browser, app: Site, stranger: Site, auth: str, host: str
) -> None:
    sign_in(browser, app, auth)
    browser.open(stranger.origin(host))
    mallory = {"email": MALLORY, "password": PASSWORD}
    plain = {"headers": {"Content-Type": "text/plain"}}
    tries: list[dict[str, Any]] = [plain, {"headers": {}}, {**plain, "mode": "no-cors"}, {"mode": "no-cors"}]
    for path, body in {"/auth/login": mallory, "/auth/refresh": {}, "/auth/logout": {}}.items():
        assert browser.post(auth + path, body) == FAILED  # the preflight was refused
        for more in tries:
            answer = browser.post(auth + path, body, **more)
            assert answer == FAILED or (answer["type"], answer["status"], answer["body"]) == ("opaque", 0, "")
    assert signed_in_as(browser, app, auth) == ADA


def test_a_listed_page_may_read_answers_and_no_other(browser: Browser, app: Site, stranger: Site, auth: str) -> None:
    read = "return (await (await fetch(args[0] + '/.well-known/jwks.json')).json()).keys.length"
    browser.open(app.origin() + "/empty")
    assert browser.run(read, auth) >= 1
    assert browser.post(auth + "/auth/login", {})["status"] == 422  # and errors as well
    for page in (stranger.origin(), stranger.origin("evil.test"), app.origin("evil.test"), app.origin("127.0.0.1")):
        browser.open(page + ("/empty" if page.endswith(app.origin().rpartition(":")[2]) else "/"))
        assert browser.run(read, auth) == FAILED


def test_the_page_of_the_documentation_works_under_its_policy(browser: Browser, auth: str) -> None:
    browser.complaints()
    browser.open(auth + "/docs")
    browser.wait_for_text("body", "/auth/refresh")
    assert [line for line in browser.complaints() if "favicon" not in line] == []
