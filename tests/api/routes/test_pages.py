"""The pages of links in a real Chromium: how they look, what they ask for, and what they say."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from auth_service.security.tokens.link_tokens import code_of_link_token, new_link_token
from tests.conftest import environment
from tests.support.axe import Axe
from tests.support.browser import Browser
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import block
from tests.support.server import Server, free_port, wait_until
from tests.support.sql import run_sql

PAGES = ("verify-email", "reset-password", "confirm-email", "keep-email", "keep-factors")
NEW = "another horse, another battery"
SUBMIT = "button:not([type])"
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><script>document.title = "run"</script>
<rect width="40" height="40" style="fill:#1a56c4"/></svg>"""
LOOKS = [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]
CODE_IS_SHOWN = "return document.querySelector('#token').offsetParent !== null"
LINKS_SHOWN = "return [...document.links].filter((link) => link.offsetParent).map((link) => link.href)"
SIGN_IN = "https://app.example.com/sign-in"
LINK = re.compile(r'"kind":"([\w-]+)".*"link":"([^"]+)"')


@dataclass
class Site:
    """The service, whose log has the links of its mails, and somebody with an account."""

    server: Server
    database_url: str
    seen: int = 0

    @property
    def pages(self) -> str:
        return f"{self.server.base_url}/auth/pages"

    def post(self, path: str, **body: str) -> httpx.Response:
        return httpx.post(self.server.base_url + path, json=body, trust_env=False)

    def reset_link(self, email: str) -> str:
        """Register somebody unless that is done, ask for a link that resets the password, and return it."""
        self.post("/auth/register", email=email, password=PASSWORD)
        return self.link("reset-password", email, lambda: self.post("/auth/forgot-password", email=email))

    def verify_link(self, email: str) -> str:
        return self.link("verify-email", email, lambda: self.post("/auth/register", email=email, password=PASSWORD))

    def link(self, kind: str, email: str, ask: object) -> str:
        assert callable(ask)
        before = len(self._links(kind, email))
        assert ask().status_code < 300
        wait_until(lambda: len(self._links(kind, email)) > before, 20, lambda: f"no {kind} for {email}")
        return self._links(kind, email)[-1]

    def _links(self, kind: str, email: str) -> list[str]:
        lines = [json.loads(line) for line in self.server.log().splitlines() if '"mail.written"' in line]
        return [line["link"] for line in lines if (line["kind"], line["recipient"]) == (kind, email)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    port, url = free_port(), f"sqlite+aiosqlite:///{folder}/auth.db"
    (folder / "logo.svg").write_text(LOGO)
    shown = dict(re.findall(r"(AUTH_\w+)=(\S+)", block("docs/mail.md", "run: application")))
    shown = {name: value.replace("/etc/auth-service", str(folder)) for name, value in shown.items()}
    env = environment(url, AUTH_PUBLIC_URL=f"http://127.0.0.1:{port}", AUTH_MAIL__INTERVAL="0.1", **shown)
    with Server(env, folder, port=port) as server:
        server.wait_ready()
        yield Site(server, url)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Axe:
    if not shutil.which("npm") and not os.environ.get("CI"):
        pytest.skip("needs npm, which this machine does not have")
    return Axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Browser]:
    """The browser, without a page, on whose console nobody has complained."""
    browser.open("about:blank")
    browser.complaints()
    yield browser
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    refused = [line for line in browser.complaints() if "Content Security Policy" in line]
    assert refused == []


def look(browser: Browser, scheme: str, width: int, *more: dict[str, str]) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}, *more]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def every_state(browser: Browser, site: Site) -> Iterator[str]:
    """Bring up every page in every state that it has, one after the other, and tell which one is there."""
    unknown = new_link_token()
    for name in PAGES:
        for state, fragment in (("link", f"#token={unknown}"), ("code", "")):
            browser.open("about:blank")
            browser.open(f"{site.pages}/{name}{fragment}")
            yield f"{name} with the {state}"
    browser.click(SUBMIT)
    yield "keep-factors without a code"
    browser.open(f"{site.pages}/verify-email#token={unknown}")
    browser.click("[data-to=new]")
    yield "verify-email with a new password"
    send(browser, NEW, "no longer valid", ".ending:not([hidden])")
    yield "a closing message"
    browser.open(f"{site.pages}/reset-password")
    browser.type("token", "ABCDE")
    browser.click(".reveal")
    send(browser, NEW, "This code is not right", "#problem")
    yield "a problem"
    for path in ("/nowhere", "/auth/login", "/auth/me", "/problems/too-many-attempts"):
        browser.open(site.server.base_url + path)
        yield path


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_nothing_keeps_anybody_from_using_a_page(page: Browser, site: Site, axe: Axe, scheme: str, width: int) -> None:
    """By axe-core: names, labels, landmarks and contrast (WCAG 2.2 AA); and nothing is wider than the screen."""
    look(page, scheme, width)
    found = {state: axe.barriers(page) for state in every_state(page, site)}
    assert {state: barriers for state, barriers in found.items() if barriers} == {}
    assert len(found) == 18
    assert page.run("return getComputedStyle(document.body).backgroundColor") != (
        "rgb(255, 255, 255)" if scheme == "dark" else "rgb(0, 0, 0)"
    )


@runs("docs/mail.md", "run: application")
def test_every_page_has_the_name_and_the_logo_and_fits_a_phone(page: Browser, site: Site) -> None:
    look(page, "light", 360)
    for state in every_state(page, site):
        name, logo, wide, empty = page.run(
            """
            const image = document.querySelector("header img");
            await image.decode();
            const {scrollWidth, clientWidth} = document.documentElement;
            const unlabelled = [...document.querySelectorAll("input")].filter(
                (field) => field.offsetParent && !field.labels.length);
            return [document.querySelector("header").innerText, image.naturalWidth, scrollWidth > clientWidth,
                unlabelled.length];
            """
        )
        assert (name, logo > 0, wide, empty) == ("Example", True, False, 0), state


def test_a_logo_that_is_a_program_runs_nothing(page: Browser, site: Site) -> None:
    page.open(f"{site.pages}/logo")
    assert page.run("return document.documentElement.localName") == "svg"
    assert page.driver.title != "run"
    assert any("Content Security Policy" in line for line in page.complaints())
    assert httpx.get(f"{site.pages}/logo", trust_env=False).headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_uses_the_keyboard_sees_where_it_is(page: Browser, site: Site, scheme: str) -> None:
    look(page, scheme, 1280)
    page.open("about:blank")
    page.open(f"{site.pages}/verify-email")
    ring = """const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
        return [document.activeElement.innerText, outlineStyle, outlineWidth]"""
    rings = [page.run(ring)]
    for _ in range(4):  # from the code to the password, its button, the other way, and the button of the form
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        rings.append(page.run(ring))
    names = ["", "", "Show", "I do not know this password", "Confirm"]
    assert rings == [[name, "solid", "3px"] for name in names]


def test_nothing_moves_for_whoever_wants_that(page: Browser, site: Site) -> None:
    moving = "return [...document.querySelectorAll('*')].map((each) => getComputedStyle(each).transitionDuration)"
    for preference, expected in (("reduce", {"0s"}), ("no-preference", {"0s", "0.15s"})):
        look(page, "light", 1280, {"name": "prefers-reduced-motion", "value": preference})
        page.open(f"{site.pages}/verify-email")
        assert {duration.partition(",")[0] for duration in page.run(moving)} == expected


def test_what_is_typed_can_be_seen(page: Browser, site: Site) -> None:
    page.open(f"{site.pages}/reset-password#token={new_link_token()}")
    page.type("new_password", NEW)
    state = """const field = document.querySelector("#new_password"), button = document.querySelector(".reveal");
        return [field.type, field.value, button.computedName ?? button.ariaLabel, button.innerText]"""
    assert page.run(state) == ["password", NEW, "Show password", "Show"]
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert page.driver.switch_to.active_element.accessible_name == "Show password"
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.run(state) == ["text", NEW, "Hide password", "Hide"]
    assert page.driver.switch_to.active_element.accessible_name == "Hide password"
    page.click(SUBMIT)
    page.wait_for_text("main", "no longer valid")
    assert page.run(state)[0] == "password", "so that the browser does not keep it as a text"


def test_a_page_says_what_a_password_must_be_before_it_is_refused(page: Browser, site: Site) -> None:
    page.open(f"{site.pages}/reset-password#token={new_link_token()}")
    told = page.run("return document.getElementById(document.querySelector('#new_password').ariaDescribedByElements"
                    "?.[0]?.id ?? 'about-new_password').innerText")  # fmt: skip
    assert told.startswith("15 to 256 characters of any kind")


# What became of the fragment on its way, and the URL that is opened then.
LOST = {
    "cut off": "reset-password",
    "cut off after its sign": "reset-password#",
    "without its value": "reset-password#token=",
    "cut off within the token": "reset-password#token=lnk_0123456789",
    "replaced": "reset-password#:~:text=password",
    "encoded into the path": "reset-password%23token=lnk_0123456789ABCDEFGHJKMNPQRSTVW",
    "with a parameter of a tracker": "reset-password?utm_source=mail",
}


@pytest.mark.parametrize("path", LOST.values(), ids=LOST.keys())
def test_where_the_fragment_is_lost_the_page_says_so_and_takes_the_code(page: Browser, site: Site, path: str) -> None:
    link = site.reset_link(f"{abs(hash(path))}@example.com")
    page.open(f"{site.pages}/{path}")
    page.wait_for_text("main", "Part of the link is missing")
    assert "no longer valid" not in page.driver.execute_script("return document.body.innerText")
    assert page.driver.current_url == f"{site.pages}/reset-password"
    page.type("token", code_of_link_token(link.partition("#token=")[2]))
    send(page, NEW, "Your new password is set")


# How the code is entered, made of the link and its code.
ENTERED = {
    "as it is": "{code}",
    "with blanks": "  {code} ",
    "in small letters": "{lower}",
    "the whole link": "{link}",
    "the link with a blank": " {link} ",
    "the token": "{token}",
}


@pytest.mark.parametrize("form", ENTERED.values(), ids=ENTERED.keys())
def test_a_code_is_taken_however_it_is_entered(page: Browser, site: Site, form: str) -> None:
    link = site.reset_link(f"{abs(hash(form))}@example.org")
    token = link.partition("#token=")[2]
    code = code_of_link_token(token)
    page.open(f"{site.pages}/reset-password")
    page.type("token", form.format(link=link, token=token, code=code, lower=code.lower()))
    send(page, NEW, "Your new password is set")
    assert site.post("/auth/login", email=f"{abs(hash(form))}@example.org", password=NEW).status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_every_page_asks_for_a_code_where_the_link_has_none(page: Browser, site: Site, name: str) -> None:
    page.open(f"{site.pages}/{name}")
    assert page.run(CODE_IS_SHOWN) is True
    page.open("about:blank")
    page.open(f"{site.pages}/{name}#token={new_link_token()}")
    assert page.run(CODE_IS_SHOWN) is False


def test_nobody_is_led_to_the_application_before_all_is_done(page: Browser, site: Site) -> None:
    page.open("about:blank")
    page.open(f"{site.pages}/reset-password#token={new_link_token()}")
    assert page.run(LINKS_SHOWN) == []
    send(page, NEW, "no longer valid", ".ending:not([hidden])")
    assert page.run(LINKS_SHOWN) == []
    linked = {name: SIGN_IN in httpx.get(f"{site.pages}/{name}", trust_env=False).text for name in PAGES}
    assert linked == {name: not name.startswith("keep") for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_without_a_setting_a_page_leads_nowhere(server: Server, name: str) -> None:
    text = httpx.get(f"{server.base_url}/auth/pages/{name}", trust_env=False).text
    assert "<a " not in text
    assert "$" not in text


def test_a_mistyped_code_can_be_put_right(page: Browser, site: Site) -> None:
    code = code_of_link_token(site.reset_link("typo@example.com").partition("#token=")[2])
    page.open(f"{site.pages}/reset-password")
    page.type("token", code[:-1])
    send(page, NEW, "This code is not right", "#problem")
    assert page.driver.switch_to.active_element.get_attribute("name") == "token"
    page.type("token", code)
    send(page, NEW, "Your new password is set")


def test_a_reload_keeps_the_link_and_what_was_typed_and_shows_a_closing_message_again(
    page: Browser, site: Site
) -> None:
    link = site.reset_link("reload@example.com")
    page.open(link)
    for _ in range(2):
        page.driver.refresh()
        assert page.run(CODE_IS_SHOWN) is False
    page.open("about:blank")
    page.open(f"{site.pages}/reset-password")  # a visit of its own
    assert page.run(CODE_IS_SHOWN) is True
    code = code_of_link_token(link.partition("#token=")[2])
    page.type("token", code)
    page.driver.refresh()
    assert page.run("return document.querySelector('#token').value") == code
    send(page, NEW, "Your new password is set")
    page.driver.refresh()
    page.wait_for_text("main", "Your new password is set")
    assert page.run(LINKS_SHOWN) == [SIGN_IN], "as docs/mail.md sets it"
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert page.driver.switch_to.active_element.accessible_name == "Sign in"
    assert page.run("return JSON.stringify(history.state)") == '{"ending":"done"}'


def test_a_link_that_is_pasted_into_the_address_bar_of_its_own_page_is_taken(page: Browser, site: Site) -> None:
    page.open(f"{site.pages}/reset-password")
    page.driver.execute_script("location.hash = arguments[0]", f"token={new_link_token()}")
    page.wait_for_text("main", "New password")
    wait_until(lambda: page.run(CODE_IS_SHOWN) is False, 20, lambda: "the page still asks for a code")
    assert page.driver.current_url == f"{site.pages}/reset-password"


def test_nothing_is_kept_where_another_page_or_a_later_visitor_finds_it(page: Browser, site: Site) -> None:
    page.open(site.reset_link("shared@example.com"))
    assert page.run("return [sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
    with page.before_pages("const now = Date.now; Date.now = () => now() + 16 * 60 * 1000"):
        page.driver.refresh()
    page.wait_for_text("main", "Part of the link is missing")
    assert page.run("return history.state.token ?? history.state.typed") == ""
    page.open(f"{site.server.base_url}/problems/not-found")
    assert page.run("return history.state") is None


def test_each_refusal_has_its_own_words(page: Browser, site: Site) -> None:
    email = "refused.person@example.com"
    page.open(site.reset_link(email))
    told = {}
    for password in (
        "short",
        "x" * 257,
        "thisismypassword",
        "aaaaaaaaaaaaaaaa",
        "refused.person.example.com",
        "qwertyuiopasdfghjkl",
    ):
        page.type("new_password", password)
        page.click(SUBMIT)
        wait_until(lambda: page.run("return !document.querySelector('form button:not([type])').disabled"), 20, str)
        told[password[:20]] = page.run("return document.querySelector('#problem').innerText")
        assert page.run("return document.activeElement.ariaInvalid") == "true"
    assert all(told.values())
    assert len(set(told.values())) == len(told), told
    assert "15" in told["short"]
    assert "256" in told["x" * 20]


# What became of the link, and what the page says of it.
FAULTS = {
    "UPDATE link_tokens SET used_at = created_at": "This link was used already",
    "UPDATE link_tokens SET expires_at = created_at": "This link has expired",
    "UPDATE users SET is_verified = true, credential_epoch = credential_epoch + 1": "the account was changed after",
    "DELETE FROM link_tokens": "replaced by a newer one",
}


async def test_each_fault_of_a_link_has_its_own_words(page: Browser, site: Site) -> None:
    for number, (event, words) in enumerate(FAULTS.items()):
        email = f"fault{number}@example.com"
        link = site.reset_link(email)
        await run_sql(site.database_url, event)
        page.open("about:blank")
        page.open(link)
        send(page, NEW, words, ".ending:not([hidden])")
        focused = page.run("return document.activeElement.innerText")
        assert words in focused, "a screen reader is told"


def test_whose_role_signs_in_with_passkeys_alone_is_told_so(page: Browser, site: Site) -> None:
    """What the service answers then is in tests/services/factors/passkeys/test_without_password.py."""
    told = {"code": "invalid-link", "reason": "needs-passkey", "detail": "..."}
    with page.before_pages(f"fetch = async () => new Response('{json.dumps(told)}', {{status: 400}})"):
        page.open(f"{site.pages}/reset-password#token={new_link_token()}")
        send(page, NEW, "its role signs in with passkeys alone. Sign in with your passkey.", ".ending:not([hidden])")


def test_who_guesses_is_told_when_to_try_again(page: Browser, site: Site) -> None:
    page.open(site.verify_link("guess@example.com"))
    for _ in range(5):
        page.type("password", "this is not the password")
        page.click(SUBMIT)
        page.wait_for_text("#problem", "not the password of the account")
    for _ in range(3):
        page.type("password", "this is not the password either")
        page.click(SUBMIT)
        wait_until(lambda: page.run("return !document.querySelector('form button:not([type])').disabled"), 20, str)
    page.wait_for_text("#problem", "Too many attempts. Try again in ")
    assert re.search(r"Try again in \d+ seconds?\.", page.run("return document.querySelector('#problem').innerText"))


# What answers in place of the service, as a script of the page before its own, and what the page says then.
ELSEWHERE = {
    "a gateway": (
        "fetch = async () => new Response('<h1>Bad Gateway</h1>', {status: 502})",
        "cannot answer at the moment",
    ),
    "a gateway that knows": (
        "fetch = async () => new Response('{}', {status: 503, headers: {'Retry-After': '300'}})",
        "Try again in 5 minutes; your link stays good.",
    ),
    "nothing": ("fetch = async () => { throw new TypeError('Failed to fetch') }", "The service does not answer"),
    "no network": (
        "Object.defineProperty(navigator, 'onLine', {get: () => false}); fetch = async () => { throw new TypeError() }",
        "Your device is offline",
    ),
}


@pytest.mark.parametrize(("script", "words"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_an_outage_is_no_fault_of_the_link(page: Browser, site: Site, script: str, words: str) -> None:
    with page.before_pages(script):
        page.open(f"{site.pages}/reset-password#token={new_link_token()}")
        send(page, NEW, words, "#problem")
    assert page.run("return document.querySelector('#new_password').value") == NEW


def test_without_javascript_a_page_says_what_it_needs(page: Browser, site: Site) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.open(f"{site.pages}/reset-password")
        assert "This page needs JavaScript" in page.driver.find_element("tag name", "main").text
        assert not page.driver.find_element("tag name", "form").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def send(browser: Browser, new_password: str, told: str, where: str = "main") -> None:
    browser.type("new_password", new_password)
    browser.click(SUBMIT)
    browser.wait_for_text(where, told)
