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
from tests.support.client import PASSWORD
from tests.support.markdown import block
from tests.support.server import Server
from tests.support.virtual_authenticator import VirtualAuthenticator

PAGE = "docs/passkeys.md"
EMAIL = "ada@example.com"


@contextmanager
def page(browser: Browser, folder: Path, **more: str) -> Iterator[Browser]:
    """The page, before a service as docs/passkeys.md sets it up, where Ada has registered."""
    settings = dict(re.findall(r"(AUTH_\w+)=(\S+)", block(PAGE, "run: settings")))
    with Site() as site:
        settings = {name: value.replace("http://localhost:3000", site.origin()) for name, value in settings.items()}
        env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", **settings, **more)
        with Server(env, folder) as server:
            server.wait_ready()
            account = {"email": EMAIL, "password": PASSWORD}
            httpx.post(f"{server.base_url}/auth/register", json=account, trust_env=False).raise_for_status()
            auth = server.base_url.replace("127.0.0.1", "localhost")
            site.pages["/"] = block(PAGE, "run: page").replace("https://auth.example.com", auth)
            browser.open(site.origin())
            yield browser
            browser.open("about:blank")


def sign_in(browser: Browser) -> None:
    browser.type("email", EMAIL)
    browser.type("password", PASSWORD)
    browser.click("form button")


def enter(browser: Browser, code: str) -> None:
    browser.type("code", code)
    browser.click("form:nth-of-type(2) button")


def test_an_app_is_added_at_the_sign_in_and_then_its_codes_and_recovery_codes_sign_in(
    browser: Browser, tmp_path: Path
) -> None:
    with page(browser, tmp_path, AUTH_FACTORS__REQUIRED_ROLES="user", AUTH_THROTTLE__ENABLED="false"):
        browser.type("email", EMAIL)
        browser.type("password", "not the password of Ada")
        browser.click("form button")
        browser.wait_for_text("output", "The account or the password is wrong.")
        sign_in(browser)
        browser.wait_for_text("form:nth-of-type(2)", "to your app. Its code:")
        app = Authenticator(browser.run("return document.forms[1].innerText.match(/[A-Z2-7]{16,}/)[0]"))
        enter(browser, app.wrong_code())
        browser.wait_for_text("output", "The code or the passkey is wrong, or was used before.")
        browser.wait_for_text("form:nth-of-type(2)", app.secret)
        enter(browser, app.code())
        codes = browser.accept().splitlines()[1:]
        assert len(codes) == 10
        browser.wait_for_text("output", EMAIL)

        browser.click("#leave")
        browser.wait_for_text("output", "nobody")
        sign_in(browser)
        browser.wait_for_text("form:nth-of-type(2)", "Code of your app, or a recovery code:")
        enter(browser, "ABCDE-FGHJK")
        browser.wait_for_text("output", "The code or the passkey is wrong")
        browser.wait_for_text("form:nth-of-type(2)", "Code of your app, or a recovery code:")
        enter(browser, codes[0].lower())
        browser.wait_for_text("output", EMAIL)


def test_a_passkey_is_added_at_the_sign_in_where_the_role_must_have_one(browser: Browser, tmp_path: Path) -> None:
    with page(browser, tmp_path, AUTH_PASSKEYS__REQUIRED_ROLES="user"), VirtualAuthenticator.plugged_in(browser) as key:
        sign_in(browser)
        assert len(browser.accept().splitlines()) == 11, "ten recovery codes"
        browser.wait_for_text("output", EMAIL)
        assert len(key.credentials()) == 1
        browser.click("#add")
        browser.wait_for_text("output", "This device has a passkey already.")


def test_a_recovery_code_does_where_the_passkey_is_not_at_hand(browser: Browser, tmp_path: Path) -> None:
    with page(browser, tmp_path), VirtualAuthenticator.plugged_in(browser) as key:
        sign_in(browser)
        browser.wait_for_text("output", EMAIL)
        browser.click("#add")
        codes = browser.accept().splitlines()[1:]
        browser.wait_for_text("output", "added")
        key.set_user_present(present=False)
        browser.click("#leave")
        browser.wait_for_text("output", "nobody")
        sign_in(browser)
        browser.wait_for_text("form:nth-of-type(2)", "Code of your app, or a recovery code:")
        enter(browser, codes[0])
        browser.wait_for_text("output", EMAIL)


@pytest.mark.parametrize("script", ["fetch = async () => { throw new TypeError('Failed to fetch') }"])
def test_an_outage_is_said_in_a_sentence(browser: Browser, tmp_path: Path, script: str) -> None:
    with page(browser, tmp_path):
        browser.driver.execute_script(script)
        sign_in(browser)
        browser.wait_for_text("output", "The service does not answer. Try again in a moment.")
