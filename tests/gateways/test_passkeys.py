"""The page of docs/passkeys.md in a real Chromium, before the service itself and before each gateway."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.browser import PATIENCE, Browser, Site
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.echo_upstream import EchoUpstream
from tests.support.gateway_places import INTERNAL_TOKEN, Fleet, Service
from tests.support.gateways import KINDS, installed
from tests.support.javascript_client import put_client
from tests.support.markdown import block, named
from tests.support.postgres import Postgres
from tests.support.server import wait_until
from tests.support.virtual_authenticator import VirtualAuthenticator

PAGE = "docs/passkeys.md"
# Those of minutes; what limits a request, of seconds, stays.
SHORT_TIMERS = "const later = setTimeout; setTimeout = (action, ms) => later(action, ms > 60_000 ? ms / 1000 : ms)"
TIMES_ASKED = """
return performance.getEntriesByType("resource").filter(({name}) => name.endsWith("/auth/passkeys/options")).length
"""


@pytest.fixture(scope="module")
def site(javascript_client: Path) -> Iterator[Site]:
    with Site() as running:
        put_client(running, javascript_client)
        running.pages["/second-steps.js"] = block(PAGE, "run: second steps")
        yield running


@pytest.fixture(scope="module")
def service(
    site: Site, postgres: Postgres, gateways_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One more service on the same database, set up for the page as docs/passkeys.md says."""
    shown = dict(re.findall(r"(AUTH_\w+)=(\S+)", named(PAGE, "run: settings").text))
    settings = {name: value.replace("http://localhost:3000", site.origin()) for name, value in shown.items()}
    settings |= {"AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN, "AUTH_PROXY__TRUSTED": "127.0.0.1/32"}
    running = Service(environment(postgres.url(gateways_database), **settings), tmp_path_factory.mktemp("passkeys"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def fleet(service: Service, upstream: EchoUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(service, upstream, tmp_path_factory.mktemp("gateways"), stack)


@dataclass(frozen=True)
class Visitor:
    """Somebody with an account, before the page in a browser."""

    browser: Browser
    email: str
    sessions: Callable[[str], str]
    """Runs SQL about the sessions of the account: `{}` is what picks them."""

    def sign_in_by_password(self) -> None:
        self.browser.type("email", self.email)
        self.browser.type("password", PASSWORD)
        self.browser.click("form button")
        self.browser.wait_for_text("#who", self.email)

    def sign_ins(self) -> int:
        return int(self.sessions("SELECT count(*) FROM refresh_tokens WHERE {}"))

    def signed_in_by(self) -> str:
        return self.sessions("SELECT acr, amr FROM refresh_tokens WHERE {} ORDER BY created_at DESC LIMIT 1")

    def an_hour_passes(self) -> None:
        self.sessions("UPDATE refresh_tokens SET authenticated_at = authenticated_at - interval '1 hour' WHERE {}")


@pytest.fixture(params=["direct", *KINDS])
def auth(request: pytest.FixtureRequest, service: Service, fleet: Fleet) -> str:
    """The URL of the service, or of the gateway before it."""
    port = service.port if request.param == "direct" else fleet.place(installed(request.param)).port
    return f"http://localhost:{port}"


@pytest.fixture
def visitor(auth: str, browser: Browser, site: Site, postgres: Postgres, gateways_database: str) -> Visitor:
    email = f"ada.{uuid4().hex}@example.com"
    account = {"email": email, "password": PASSWORD}
    made = httpx.post(auth.replace("localhost", "127.0.0.1") + "/auth/register", json=account, trust_env=False)
    own = f"user_id = '{made.raise_for_status().json()['id']}'"
    site.pages["/"] = block(PAGE, "run: page").replace("https://auth.example.com", auth)
    browser.open(site.origin())
    return Visitor(browser, email, lambda sql: postgres.execute(sql.format(own), gateways_database))


@pytest.fixture
def authenticator(browser: Browser) -> Iterator[VirtualAuthenticator]:
    with VirtualAuthenticator.plugged_in(browser) as plugged_in:
        yield plugged_in


@runs(PAGE, "run: page")
def test_the_page_adds_a_passkey_signs_in_with_it_and_removes_it(
    visitor: Visitor, authenticator: VirtualAuthenticator
) -> None:
    browser = visitor.browser
    visitor.sign_in_by_password()
    assert visitor.signed_in_by() == "aal1|pwd"
    browser.click("#add")
    assert len(browser.accept().splitlines()) == 11, "ten recovery codes"
    browser.wait_for_text("#said", "added")
    copies = authenticator.credentials()

    before = visitor.sign_ins()
    browser.click("#leave")  # and the authenticator does not wait for a finger
    wait_until(lambda: visitor.sign_ins() > before, PATIENCE, lambda: "the passkey was not used")
    browser.wait_for_text("#who", visitor.email)
    assert visitor.signed_in_by() == "phr|hwk user"
    genuine = authenticator.credentials()

    authenticator.replace(copies)
    browser.click("#leave")
    browser.wait_for_text("#said", "The passkey was refused")
    assert len(authenticator.credentials()) == 1, "the browser was not told to forget it"

    authenticator.replace(genuine)
    visitor.sign_in_by_password()  # and with the passkey beside it
    assert visitor.signed_in_by() == "phr|pwd hwk user mfa"

    visitor.an_hour_passes()
    browser.driver.refresh()
    browser.wait_for_text("#who", visitor.email)
    browser.click("#remove")  # for which the passkey signs once more
    browser.wait_for_text("#said", "removed")
    assert authenticator.credentials() == [], "the browser has forgotten it"

    authenticator.replace(genuine)
    browser.click("#leave")
    browser.wait_for_text("#said", "This passkey is not known here")
    assert authenticator.credentials() == [], "the browser was told that nobody knows it"
    visitor.sign_in_by_password()
    assert visitor.signed_in_by() == "aal1|pwd"


@pytest.mark.parametrize("auth", ["direct"], indirect=True)
def test_the_page_has_another_challenge_before_the_first_is_too_old(
    visitor: Visitor, authenticator: VirtualAuthenticator
) -> None:
    browser = visitor.browser
    visitor.sign_in_by_password()
    browser.click("#add")
    browser.accept()
    browser.wait_for_text("#said", "added")
    authenticator.set_user_present(present=False)
    browser.click("#leave")
    browser.wait_for_text("#who", "nobody")
    with browser.before_pages(SHORT_TIMERS):
        browser.driver.refresh()
        browser.wait_for_text("#who", "nobody")
        wait_until(lambda: browser.run(TIMES_ASKED) > 2, PATIENCE, lambda: "it asked once")
        assert browser.run("return document.getElementById('said').value") == "", "and said nothing of it"
        authenticator.set_user_present(present=True)
        browser.wait_for_text("#who", visitor.email)
