"""The pages that links lead to: what they may do, and that they work in a real headless Chromium."""

import asyncio
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import environment
from tests.support.admins import EMAIL, Admin
from tests.support.authenticator import Authenticator
from tests.support.browser import Browser
from tests.support.client import PASSWORD, Client
from tests.support.headers import API_POLICY, assert_security_headers
from tests.support.link_mails import LinkMails
from tests.support.processes import client_of
from tests.support.server import Server, free_port
from tests.support.sql import run_sql

PAGES = ("verify-email", "reset-password", "confirm-email", "keep-email", "keep-factors")
POLICY = re.compile(
    r"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; "
    r"form-action 'none'; frame-ancestors 'none'"
)
ADA, ELSEWHERE, EVE = "ada@example.com", "ada@example.org", "eve@example.com"
NEW, NEWER = "another horse, another battery", "a third horse, a third battery"
SUBMIT = "button:not([type])"
SHOWN = """return [...document.querySelectorAll("[hidden]")].filter(
    (element) => getComputedStyle(element).display !== "none").map((element) => element.outerHTML)"""
HARMLESS = ("favicon", "422", "401")  # of what a browser complains of, when the page itself goes on


@pytest.fixture
def database_url() -> str:
    return "sqlite+aiosqlite://"


async def test_the_pages_may_load_their_own_script_and_style_and_nothing_else_may(client: Client) -> None:
    for name in (*PAGES, "page.js"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, f"/auth/pages/{name}")
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert POLICY.fullmatch(policy)
            assert_security_headers(answer.headers, policy)
            assert "set-cookie" not in answer.headers
    for name in PAGES:
        page = (await client.get(f"/auth/pages/{name}")).text
        assert "<noscript>" in page
        assert "://" not in page, "nothing is loaded from elsewhere"
        assert page.count("<script") == page.count('<script src="page.js" defer></script>') == 1, "nor is any inline"
    for name in ("nothing", "..", "form.html", "style.css", "pages.py", "logo"):
        missing = await client.get(f"/auth/pages/{name}")
        assert missing.status_code == 404
        assert_security_headers(missing.headers, API_POLICY)


async def test_the_pages_work_in_a_browser_under_their_policy_and_hide_the_token(
    browser: Browser, mails: LinkMails, tmp_path: Path
) -> None:
    port = free_port()
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    env = environment(url, AUTH_PUBLIC_URL=f"http://127.0.0.1:{port}")
    env |= {f"AUTH_MAIL__{name.upper()}": str(value) for name, value in mails.settings["mail"].items()}
    with Server(env, tmp_path, port=port) as server:
        await asyncio.to_thread(server.wait_ready)
        async with client_of(server) as client:
            for address in (ADA, EMAIL, EVE):
                await client.register(address)
            await run_sql(url, "UPDATE users SET role = 'admin' WHERE email = $1", EMAIL)
            await keep_the_address(browser, client, mails)
            await keep_the_factors(browser, client, mails)
            await follow_every_link(browser, client, mails)
            await choose_a_new_password(browser, client, mails)
        for link in mails.links(ADA) + mails.links(ELSEWHERE):
            assert urlsplit(link).fragment.removeprefix("token=") not in server.log()


async def keep_the_address(browser: Browser, client: Client, mails: LinkMails) -> None:
    admin = Admin(client, "", await client.sign_in(EMAIL))
    user_id = (await admin.page(name=ADA))["items"][0]["id"]
    assert (await admin.call("POST", f"/{user_id}/email", json={"email": ELSEWHERE})).status_code == 202
    link = await mails.link(ADA, "keep-email")
    await press(browser, link, "your account keeps its e-mail address")
    assert (await admin.show(user_id))["pending_email"] is None
    await press(browser, link, "This link is no longer valid: the change was stopped")


async def keep_the_factors(browser: Browser, client: Client, mails: LinkMails) -> None:
    admin = Admin(client, "", await client.sign_in(EMAIL))
    app = await Authenticator.add(client, await client.sign_in(EVE))
    user_id = (await admin.page(name=EVE))["items"][0]["id"]
    assert (await admin.call("POST", f"/{user_id}/factors/reset")).status_code == 202
    link = await mails.link(EVE, "keep-factors")
    await press(browser, link, "your account keeps its authenticator app and passkeys")
    assert (await client.pending_reset(app.tokens["access_token"])).status_code == 404
    await press(browser, link, "This link is no longer valid: the removal was stopped")


async def follow_every_link(browser: Browser, client: Client, mails: LinkMails) -> None:
    browser.complaints()
    verify = await mails.link(ADA, "verify-email")
    await press(browser, verify, "This is not the password of the account.", {"password": NEW})
    await asyncio.to_thread(send, browser, "Your e-mail address is confirmed.", {"password": PASSWORD})
    tokens = await client.sign_in()
    assert (await client.me(tokens["access_token"])).json()["is_verified"] is True
    await client.change_email(tokens["access_token"], ELSEWHERE)
    approval, confirmation = await mails.link(ADA, "confirm-email"), await mails.link(ELSEWHERE, "confirm-email")
    await press(browser, confirmation, "If you did not ask for this change, close this page")
    await asyncio.to_thread(send, browser, "The change takes effect once the link", {"password": PASSWORD})
    await press(browser, approval, "Your e-mail address has been changed.")
    await client.forgot_password(ELSEWHERE)
    reset = await mails.link(ELSEWHERE, "reset-password")
    await press(browser, reset, "at least 15 characters", {"new_password": "too short"})
    await asyncio.to_thread(send, browser, "Your new password is set", {"new_password": NEW})
    assert [line for line in browser.complaints() if not any(word in line for word in HARMLESS)] == []
    assert (await client.login(ELSEWHERE, NEW)).status_code == 200
    assert (await client.login(ELSEWHERE, PASSWORD)).status_code == 401
    await press(browser, reset, "This link was used already", {"new_password": PASSWORD})


async def choose_a_new_password(browser: Browser, client: Client, mails: LinkMails) -> None:
    link = await mails.link(EMAIL, "verify-email")
    await press(browser, link, "Enter the password of the account instead", button="[data-to=new]")
    await asyncio.to_thread(send, browser, "at least 15 characters", {"new_password": "too short"})
    await asyncio.to_thread(send, browser, "Your e-mail address is confirmed.", {"new_password": NEWER})
    assert (await client.login(EMAIL, PASSWORD)).status_code == 401
    assert (await client.login(EMAIL, NEWER)).status_code == 200


async def press(
    browser: Browser, link: str, told: str, fields: dict[str, str] | None = None, button: str = SUBMIT
) -> None:
    """Open a link, which must then be out of the address bar, press the button, and wait for what the page says."""

    def act() -> None:
        browser.open("about:blank")
        browser.open(link)
        assert browser.driver.current_url == link.partition("#")[0]
        assert browser.run(SHOWN) == [], "nothing is seen that the page hides"
        send(browser, told, fields or {}, button)

    await asyncio.to_thread(act)


def send(browser: Browser, told: str, fields: dict[str, str], button: str = SUBMIT) -> None:
    for name, text in fields.items():
        browser.type(name, text)
    browser.click(button)
    browser.wait_for_text("body", told)
