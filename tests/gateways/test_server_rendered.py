"""A site rendered on the server behind nginx, from the files and the code of docs/server-rendered.md as they are."""

import asyncio
import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.authenticator import Authenticator
from tests.support.browser import Browser, Site
from tests.support.certificates import Authority
from tests.support.claims import runs
from tests.support.client import PASSWORD, Client
from tests.support.echo_upstream import EchoUpstream
from tests.support.forge import open_forge
from tests.support.gateway_places import Service, User
from tests.support.gateways import Gateway
from tests.support.postgres import Postgres
from tests.support.rendered_site import APPLICATION, COOKIE, Tls, Visitor, back_end, nginx_before
from tests.support.server import free_port, wait_until

PAGE = "docs/server-rendered.md"
ADA, GRACE = "ada@example.com", "grace.rendered@example.com"
LONG = "ä" * 200_000
CARELESS = ("https://(\\S+) https? \\1|http://(\\S+) http \\2)$", "https?://(\\S+) https? \\1)$")
ELSEWHERE = [
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example/",
    "//evil.example/..", "javascript:alert(1)", "evil.example", "/\tevil", "/\n/evil.example", " //evil.example",
    "/%0d%0aSet-Cookie: a=b\r\nX: y", "", "http:evil.example", "/\u2028/evil",
]  # fmt: skip


@pytest.fixture(scope="module")
def app(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with back_end("pages.py", service.port, tmp_path_factory.mktemp("pages") / "site") as port:
        yield port


@pytest.fixture(scope="module")
def site(app: int, service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with nginx_before(app, service.port, tmp_path_factory.mktemp("pages-nginx") / "nginx") as running:
        yield running


@pytest.fixture
def visitor(site: Gateway, accounts: dict[str, str]) -> Iterator[Visitor]:
    assert accounts
    with Visitor(site) as browser:
        yield browser


@pytest.fixture
def signed_in(visitor: Visitor) -> Visitor:
    """Ada, whose access token is good."""
    assert visitor.sign_in(ADA).status_code == 303
    return visitor


@pytest.fixture
def late(signed_in: Visitor, postgres: Postgres, gateways_database: str) -> Visitor:
    """Ada, whose access token has expired."""
    access_token, refresh_token = signed_in.tokens
    forge = asyncio.run(open_forge(postgres.url(gateways_database), access_token))
    hour_ago = {name: forge.claims[name] - 3600 for name in ("iat", "exp")}
    signed_in.session = f"{forge.signed(claims=hour_ago)}~{refresh_token}"
    return signed_in


def element(answer: httpx.Response, name: str) -> str:
    """What an element of the page says."""
    assert answer.status_code == 200, (answer.status_code, answer.headers, answer.text)
    found = re.search(rf'<p id="{name}">(.*?)</p>', answer.text, re.DOTALL)
    assert found
    return html.unescape(found[1])


@runs(PAGE, "run: pages.py")
def test_who_is_not_signed_in_is_sent_to_the_form_and_then_to_the_page(
    visitor: Visitor, accounts: dict[str, str]
) -> None:
    target = "/orders/a%20b?page=2&next=/x#not-sent".partition("#")[0]
    refused = visitor.look(target)
    assert (refused.status_code, refused.headers["location"]) == (303, f"/sign-in?next={target}")
    form = visitor.look(refused.headers["location"])
    (hidden,) = re.findall(r'name="next" value="(.*?)"', form.text)
    assert html.unescape(hidden) == target
    wrong = visitor.sign_in(ADA, "wrong " + PASSWORD, target)
    assert (wrong.status_code, "E-mail address or password is wrong." in wrong.text) == (401, True)
    assert html.escape(target) in wrong.text
    assert visitor.session == ""
    answer = visitor.sign_in(ADA, target=target)
    assert (answer.status_code, answer.headers["location"]) == (303, target)
    page = visitor.look(target)
    assert element(page, "user") == accounts["ada"]
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers


def test_a_form_with_an_expired_access_token_arrives_whole_and_the_next_tokens_come_with_the_answer(
    late: Visitor, accounts: dict[str, str]
) -> None:
    before = late.session
    answer = late.send_form("/notes?of=%C3%A4", {"note": LONG})
    assert (answer.status_code, answer.headers["location"]) == (303, "/notes")
    assert late.session not in {"", before}
    assert len(answer.headers.get_list("set-cookie")) == 1
    assert "www-authenticate" not in answer.headers
    page = late.look("/notes")
    assert (element(page, "user"), element(page, "note")) == (accounts["ada"], LONG)
    assert "set-cookie" not in page.headers, "once is enough"


def test_a_form_of_unknown_length_with_an_expired_access_token_arrives_whole(late: Visitor) -> None:
    body = f"note={'x' * 100_000}".encode()
    parts = (body[start : start + 5_000] for start in range(0, len(body), 5_000))
    headers = {"Cookie": f"{COOKIE}={late.session}", "Origin": late.origin}
    form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    assert late.post("/notes", content=parts, headers=form).headers["location"] == "/notes"
    assert element(late.look("/notes"), "note") == "x" * 100_000


def test_a_page_with_an_expired_access_token_comes_with_the_next_and_the_back_end_gets_the_target_as_it_was(
    late: Visitor,
) -> None:
    assert element(late.look("/a%20b%C3%A4+c?d=e%26f"), "user")
    assert element(late.look("/"), "user")


def test_two_tabs_that_renew_at_once_stay_signed_in(late: Visitor, site: Gateway) -> None:
    tabs = [Visitor(site) for _ in range(6)]
    for tab in tabs:
        tab.session = late.session
    with ThreadPoolExecutor(len(tabs)) as threads:
        answers = list(threads.map(lambda tab: tab.send_form("/", {"note": "of each"}), tabs))
    assert [answer.headers["location"] for answer in answers] == ["/"] * 6
    assert len({tab.tokens[1] for tab in tabs}) == 1, "one session, one refresh token"
    for tab in tabs:
        assert element(tab.look("/"), "note") == "of each"
        tab.close()


def test_a_role_is_asked_for_after_a_renewal_too(late: Visitor, root: User) -> None:
    before = late.session
    answer = late.look("/admin/x")
    assert answer.status_code == 403
    assert late.session != before, "the tokens are renewed, and not lost with the refusal"
    assert late.look("/admin/x").status_code == 403
    late.session = f"expired~{root.tokens['refresh_token']}"
    assert element(late.look("/admin/x"), "user") == root.id


def test_a_path_that_would_be_read_in_another_way_after_a_renewal_is_refused(late: Visitor) -> None:
    for target in ("/reports/a%3Fb", "/a%3f/admin/x"):
        assert late.look(target).status_code == 400
    assert element(late.look("/reports?a=%3Fb"), "user")


def test_a_401_that_no_renewal_helps_against_leads_to_the_form_and_the_next_tokens_are_kept(
    late: Visitor, app: int, tmp_path: Path
) -> None:
    """As where a path asks for a second factor."""
    before = late.session
    with (
        EchoUpstream(401) as never,
        nginx_before(app, never.port, tmp_path / "nginx") as gateway,
        Visitor(gateway) as it,
    ):
        it.session = late.session
        answer = it.look("/secret")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/secret")
        assert it.session not in {"", before}
        assert [got.target for got in never.received] == ["/internal/verify"] * 2


@pytest.mark.parametrize("session", ["", "x", "~", "x~", "x~art_x", "~art_x", "a.b.c~" + "art_" * 30])
def test_what_is_no_session_leads_to_the_form(visitor: Visitor, session: str) -> None:
    visitor.session = session
    assert visitor.look("/a?b=c").headers["location"] == "/sign-in?next=/a?b=c"
    answer = visitor.send_form("/a?b=c", {"note": "lost"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/")


def test_a_sign_out_ends_the_session_for_every_tab(signed_in: Visitor, site: Gateway) -> None:
    with Visitor(site) as other_tab:
        other_tab.session = signed_in.session
        assert element(other_tab.look("/"), "user")
        answer = signed_in.send_form("/sign-out", {})
        assert (answer.status_code, answer.headers["location"], signed_in.session) == (303, "/sign-in", "")
        wait_until(lambda: other_tab.look("/").status_code == 303, 10, lambda: "still signed in")


def test_neither_a_bearer_nor_a_header_nor_another_cookie_is_a_session(visitor: Visitor, ada: User) -> None:
    forged = {"X-Auth-User": ada.id, "X-Auth-Session": "x", **ada.headers}
    assert visitor.look("/", **forged).status_code == 303
    token = ada.tokens["access_token"]
    for cookie in (f"x{COOKIE}={token}~x", f"session={token}~x", f"a={COOKIE}={token}~x"):
        assert visitor.get("/", headers={"Cookie": cookie}).status_code == 303
    assert visitor.get("/sign-in", headers=forged).status_code == 200
    for path in ("/session/renew", "/verify/any", "/internal/verify"):
        assert visitor.post(path, headers={"Origin": visitor.origin, "Cookie": f"{COOKIE}=x~x"}).status_code in {
            303,
            404,
        }


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_way_back_to_another_site_is_not_taken(visitor: Visitor, target: str) -> None:
    assert visitor.sign_in(ADA, target=target).headers["location"] == "/"
    if target.isascii() and target.isprintable():  # what else there is, clients write as %..
        assert 'name="next" value="/"' in visitor.get(f"/sign-in?next={target}").text


@pytest.mark.parametrize("origin", ["https://evil.example", "http://sister.127.0.0.1", "null", ""])
@pytest.mark.parametrize("path", ["/", "/sign-in", "/sign-out", "/admin"])
def test_a_form_of_another_origin_does_nothing(signed_in: Visitor, origin: str, path: str) -> None:
    before = signed_in.session
    fields = {"email": "root@example.com", "password": PASSWORD}
    answer = signed_in.send_form(path, fields, Origin=origin)
    assert (answer.status_code, signed_in.session) == (403, before)
    assert element(signed_in.look("/"), "user")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://sister.127.0.0.1", "null", ""])
def test_a_form_of_another_origin_does_nothing_in_an_administrators_name(
    visitor: Visitor, root: User, origin: str
) -> None:
    visitor.session = f"{root.tokens['access_token']}~{root.tokens['refresh_token']}"
    answer = visitor.send_form("/admin/x", {"note": "planted"}, Origin=origin)
    assert (answer.status_code, element(visitor.look("/"), "note")) == (403, "")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    return Tls(free_port(), *authority.issue("site", "127.0.0.1"), authority.file)


def taken(gateway: Gateway, tls: Tls) -> set[str]:
    """From which origins a form is taken by a site with TLS."""
    origins = {
        "own": tls.origin,
        "http": tls.origin.replace("https", "http"),
        "no port": "https://127.0.0.1",
        "no port, http": "http://127.0.0.1",
        "another port": "https://127.0.0.1:1",
        "none": "",
        "null": "null",
    }
    with Visitor(gateway, tls=tls) as visitor:
        answers = {name: visitor.sign_in(ADA, Origin=origin).status_code for name, origin in origins.items()}
        assert element(visitor.look("/"), "user")
    assert set(answers.values()) == {303, 403}
    return {name for name, status in answers.items() if status == 303}


def test_with_tls_a_form_of_a_page_without_it_does_nothing(
    app: int, service: Service, accounts: dict[str, str], tls: Tls, tmp_path: Path
) -> None:
    """And the test notices where the schemes are not compared."""
    assert accounts
    with nginx_before(app, service.port, tmp_path / "nginx", tls) as gateway:
        assert taken(gateway, tls) == {"own"}
    assert CARELESS[0] in APPLICATION.read_text("utf-8")
    careless = nginx_before(app, service.port, tmp_path / "careless", tls, lambda text: text.replace(*CARELESS))
    with careless as gateway:
        assert taken(gateway, tls) == {"own", "http"}


def test_a_form_that_cannot_be_taken_says_so_and_keeps_what_was_typed(visitor: Visitor) -> None:
    empty = visitor.send_form("/sign-in", {"email": ADA, "remember": "me"})
    assert (empty.status_code, f'value="{ADA}"' in empty.text) == (422, True)
    assert "Enter your e-mail address and your password." in empty.text
    assert visitor.send_form("/sign-in", {"email": ADA, "password": PASSWORD, "remember": "me"}).status_code == 303


@pytest.mark.parametrize("path", ["/sign-out", "/static/nothing"])
def test_a_page_that_nobody_asked_about_is_no_error_of_the_site(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 404


async def test_an_account_with_a_second_factor_is_asked_for_it(visitor: Visitor, service: Service) -> None:
    async with Client(base_url=f"http://127.0.0.1:{service.port}", trust_env=False, timeout=30) as client:
        user_id = (await client.register(GRACE)).raise_for_status().json()["id"]
        factor = await Authenticator.add(client, await client.sign_in(GRACE))
    asked = visitor.sign_in(GRACE, target="/secret")
    (challenge,) = re.findall(r'name="challenge" value="(.*?)"', asked.text)
    fields = {"challenge": challenge, "next": "/secret"}
    wrong = visitor.send_form("/sign-in", {**fields, "code": factor.wrong_code()})
    assert (wrong.status_code, challenge in wrong.text, visitor.session) == (401, True, "")
    assert '<a href="/sign-in?next=/secret">Start again</a>' in wrong.text
    right = visitor.send_form("/sign-in", {**fields, "code": factor.recovery_codes[0]})
    assert (right.status_code, right.headers["location"]) == (303, "/secret")
    assert element(visitor.look("/secret"), "user") == user_id


def test_while_the_service_is_down_nobody_is_signed_out_and_the_form_says_so(
    late: Visitor, app: int, service: Service, tmp_path: Path
) -> None:
    nowhere = free_port()
    with nginx_before(app, nowhere, tmp_path / "nginx") as gateway, Visitor(gateway) as visitor:
        visitor.session = late.session
        for answer in (visitor.look("/"), visitor.send_form("/", {"note": "x"})):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert visitor.session == late.session
    with (
        back_end("pages.py", nowhere, tmp_path / "site") as lost,
        nginx_before(lost, service.port, tmp_path / "nginx2") as gateway,
        Visitor(gateway) as visitor,
    ):
        visitor.session = late.session  # verify answers, and the renewal does not
        for answer in (visitor.look("/"), visitor.send_form("/", {"note": "x"}), visitor.sign_in(ADA)):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert visitor.session == late.session
    assert element(late.look("/"), "user")


@pytest.fixture
def window(browser: Browser, site: Gateway, accounts: dict[str, str]) -> Iterator[str]:
    """The URL of the site for a real browser without cookies, which keeps one tab."""
    assert accounts
    browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    first = browser.driver.current_window_handle
    yield f"http://localhost:{site.port}"
    for tab in browser.driver.window_handles:
        if tab != first:
            browser.switch_to(tab)
            browser.driver.close()
    browser.switch_to(first)


def type_password(browser: Browser, email: str) -> None:
    browser.type("email", email)
    browser.type("password", PASSWORD)
    browser.click("button")


def expire(browser: Browser) -> str:
    """Let the access token in the cookie be good no more, and return the whole cookie."""
    (cookie,) = browser.driver.get_cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (COOKIE, True, True, "Lax")
    value = f"expired~{cookie['value'].partition('~')[2]}"
    kept = {"secure": True, "httpOnly": True, "sameSite": "Lax", "path": "/", "url": browser.driver.current_url}
    assert browser.driver.execute_cdp_cmd("Network.setCookie", {"name": COOKIE, "value": value, **kept})["success"]
    return value


def test_a_browser_signs_in_sends_a_form_late_and_signs_out_in_both_tabs(
    browser: Browser, window: str, accounts: dict[str, str]
) -> None:
    browser.open(f"{window}/notes?a=1&b=2")
    type_password(browser, ADA)
    browser.wait_for_text("#user", accounts["ada"])
    assert browser.driver.current_url == f"{window}/notes?a=1&b=2"

    expired = expire(browser)
    browser.type("note", "not lost")
    browser.click("#save")
    browser.wait_for_text("#note", "not lost")
    (cookie,) = browser.driver.get_cookies()
    assert cookie["value"] != expired
    expire(browser)
    browser.driver.refresh()
    browser.wait_for_text("#note", "not lost")

    first = browser.driver.current_window_handle
    second = browser.open_tab(f"{window}/other")
    browser.wait_for_text("#user", accounts["ada"])
    browser.switch_to(first)
    browser.click("#leave")
    browser.wait_for_text("form", "E-mail")
    assert browser.driver.get_cookies() == []
    browser.driver.back()
    browser.wait_for_text("form", "E-mail")  # and nothing of what was there
    browser.switch_to(second)
    browser.driver.refresh()
    browser.wait_for_text("form", "E-mail")
    assert browser.driver.current_url == f"{window}/sign-in?next=/other"


@pytest.mark.parametrize("host", ["localhost", "evil.test"], ids=["same site", "other site"])
def test_a_form_of_another_page_does_nothing_in_a_browser(
    browser: Browser, window: str, accounts: dict[str, str], host: str
) -> None:
    browser.open(window)
    type_password(browser, ADA)
    browser.wait_for_text("#user", accounts["ada"])
    with Site() as stranger:
        for path in ("/", "/sign-out", "/sign-in"):
            fields = f"<input name=email value=root@example.com><input name=password value='{PASSWORD}'>"
            stranger.pages["/"] = f"<!doctype html><form method=post action='{window}{path}'>{fields}</form>"
            browser.open(stranger.origin(host))
            browser.driver.execute_script("document.forms[0].submit()")
            browser.wait_for_text("body", "cross-site-request")
    browser.open(window)
    browser.wait_for_text("#user", accounts["ada"])
