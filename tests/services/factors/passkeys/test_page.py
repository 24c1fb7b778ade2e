"""The page of docs/passkeys.md where a role must have a factor: it is added at the sign-in, and its codes are taken.

What the page does with passkeys is in tests/gateways/test_passkeys.py.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import environment
from tests.support.authenticator import Authenticator
from tests.support.browser import Browser, Site
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.javascript_client import put_client
from tests.support.markdown import block
from tests.support.server import Server
from tests.support.virtual_authenticator import VirtualAuthenticator

PAGE = "docs/passkeys.md"
EMAIL = "ada@example.com"


@pytest.fixture
def site(javascript_client: Path) -> Iterator[Site]:
    with Site() as running:
        put_client(running, javascript_client)
        running.pages["/second-steps.js"] = block(PAGE, "run: second steps")
        yield running


@contextmanager
def page(browser: Browser, site: Site, folder: Path, **more: str) -> Iterator[Browser]:
    """The page, before a service as docs/passkeys.md sets it up, where Ada has registered."""
    settings = dict(re.findall(r"(AUTH_\w+)=(\S+)", block(PAGE, "run: settings")))
    settings = {name: value.replace("http://localhost:3000", site.origin()) for name, value in settings.items()}
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", **settings, **more)
    with Server(env, folder) as server:
        server.wait_ready()
        account = {"email": EMAIL, "password": PASSWORD}
        httpx.post(f"{server.base_url}/auth/register", json=account, trust_env=False).raise_for_status()
        auth = server.base_url.replace("127.0.0.1", "localhost")
        site.pages["/"] = block(PAGE, "run: page").replace("https://auth.example.com", auth)
        script = block(PAGE, "run: without the client").replace("https://auth.example.com", auth)
        site.pages["/another"] = "<!doctype html><title>another</title>"
        site.pages["/without.js"] = f"{script}\nwindow.tokens = tokens;\n"
        browser.open(site.origin())
        browser.wait_for_text("#who", "nobody")
        yield browser
        browser.open("about:blank")


def sign_in(browser: Browser) -> None:
    browser.type("email", EMAIL)
    browser.type("password", PASSWORD)
    browser.click("form button")


@runs(PAGE, "run: second steps")
def test_an_app_is_added_at_the_sign_in_and_then_its_codes_and_recovery_codes_sign_in(
    browser: Browser, site: Site, tmp_path: Path
) -> None:
    with page(browser, site, tmp_path, AUTH_FACTORS__REQUIRED_ROLES="user", AUTH_THROTTLE__ENABLED="false"):
        browser.type("email", EMAIL)
        browser.type("password", "not the password of Ada")
        browser.click("form button")
        browser.wait_for_text("#said", "The account or the password is wrong.")
        sign_in(browser)
        browser.cancel()
        browser.wait_for_text("#said", "")
        sign_in(browser)
        browser.accept("000000")
        browser.wait_for_text("#said", "The code or the passkey is wrong, or was used before.")
        sign_in(browser)
        app = Authenticator(browser.asked().split()[1])
        browser.accept(app.code())
        codes = browser.accept().splitlines()[1:]
        assert len(codes) == 10
        browser.wait_for_text("#who", EMAIL)

        browser.click("#leave")
        browser.wait_for_text("#who", "nobody")
        sign_in(browser)
        assert browser.accept("ABCDE-FGHJK") == "Code of your app, or a recovery code:"
        browser.wait_for_text("#said", "The code or the passkey is wrong")
        sign_in(browser)
        browser.accept(codes[0].lower())
        browser.wait_for_text("#who", EMAIL)


def test_a_passkey_is_added_at_the_sign_in_where_the_role_must_have_one(
    browser: Browser, site: Site, tmp_path: Path
) -> None:
    required = page(browser, site, tmp_path, AUTH_PASSKEYS__REQUIRED_ROLES="user")
    with required, VirtualAuthenticator.plugged_in(browser) as key:
        sign_in(browser)
        assert len(browser.accept().splitlines()) == 11, "ten recovery codes"
        browser.wait_for_text("#who", EMAIL)
        assert len(key.credentials()) == 1
        browser.click("#add")
        browser.wait_for_text("#said", "This device has a passkey already.")


@runs(PAGE, "run: without the client")
def test_a_recovery_code_does_where_the_passkey_is_not_at_hand_and_a_page_needs_no_client(
    browser: Browser, site: Site, tmp_path: Path
) -> None:
    with page(browser, site, tmp_path), VirtualAuthenticator.plugged_in(browser) as key:
        sign_in(browser)
        browser.wait_for_text("#who", EMAIL)
        browser.click("#add")
        codes = browser.accept().splitlines()[1:]
        browser.wait_for_text("#said", "added")
        key.set_user_verified(verified=False)
        browser.click("#leave")
        browser.wait_for_text("#who", "nobody")
        sign_in(browser)
        assert browser.accept(codes[0]) == "Code of your app, or a recovery code:"
        browser.wait_for_text("#who", EMAIL)
        key.set_user_verified(verified=True)
        browser.open(f"{site.origin()}/another")
        signed_in = browser.run("await import('/without.js'); return window.tokens")
        assert "access_token" in signed_in, signed_in


def test_an_outage_is_said_in_a_sentence(browser: Browser, site: Site, tmp_path: Path) -> None:
    with page(browser, site, tmp_path):
        browser.driver.execute_script("fetch = async () => { throw new TypeError('Failed to fetch') }")
        sign_in(browser)
        browser.wait_for_text("#said", "The service did not answer.")
