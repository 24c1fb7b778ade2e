"""`/docs` in a real Chromium: who signs in there need not copy an access token."""

from uuid import uuid4

from tests.support.authenticator import Authenticator
from tests.support.browser import Browser
from tests.support.client import PASSWORD, Client
from tests.support.server import Server

# Reads one's own account as "Try it out" does, with what Swagger UI adds to the request.
TRY = """
const { body } = await ui.getSystem().fn.execute({
  spec: ui.specSelectors.specJson().toJS(), operationId: "showAccount", securities: {
    authorized: ui.authSelectors.authorized().toJS(),
    definitions: ui.authSelectors.definitionsToAuthorize().toJS(),
    specSecurity: [],
  },
}).catch((error) => error.response);
return body.email ?? body.code;
"""


def open_page(browser: Browser, server: Server) -> None:
    browser.complaints()
    browser.open(server.base_url + "/docs")
    browser.wait_for_text("body", "/auth/refresh")


def sign_in(browser: Browser, who: str, password: str) -> None:
    browser.type("who", who)
    browser.type("password", password)
    browser.click("#go")


async def test_the_page_signs_in_and_out_and_tries_routes_with_the_access_token(
    browser: Browser, server: Server, server_client: Client
) -> None:
    name = uuid4().hex
    (await server_client.register(f"{name}@example.com", username=name)).raise_for_status()
    open_page(browser, server)
    assert browser.run(TRY) == "missing-access-token"
    sign_in(browser, name, "not the password")
    browser.wait_for_text("output", "password")
    assert browser.run(TRY) == "missing-access-token"
    sign_in(browser, f"{name}@example.com", PASSWORD)
    browser.wait_for_text("output", "Signed in")
    assert browser.run(TRY) == f"{name}@example.com"
    assert browser.run("return localStorage.length + sessionStorage.length + document.cookie") == "0"
    browser.click("#back")
    browser.wait_for_text("output", "Signed out")
    assert browser.run(TRY) == "missing-access-token"
    tokens = await server_client.sign_in(f"{name}@example.com")
    assert len(await server_client.sessions(tokens["access_token"])) == 1  # the page has ended its own
    assert [line for line in browser.complaints() if "401" not in line] == []


async def test_the_page_asks_for_the_code_of_an_account_with_a_second_factor(
    browser: Browser, server: Server, server_client: Client
) -> None:
    email = f"{uuid4().hex}@example.com"
    (await server_client.register(email)).raise_for_status()
    app = await Authenticator.add(server_client, await server_client.sign_in(email))
    open_page(browser, server)
    sign_in(browser, email, PASSWORD)
    browser.wait_for_text("output", "enter a code")
    for code, sentence in ((app.wrong_code(), "is wrong"), (app.recovery_codes[0], "Signed in")):
        browser.type("code", code)
        browser.click("#go")
        browser.wait_for_text("output", sentence)
    assert browser.run(TRY) == email


async def test_the_page_goes_on_with_new_tokens_before_the_old_ones_expire(
    browser: Browser, server: Server, server_client: Client
) -> None:
    email = f"{uuid4().hex}@example.com"
    (await server_client.register(email)).raise_for_status()
    open_page(browser, server)
    sign_in(browser, email, PASSWORD)
    browser.wait_for_text("output", "Signed in")
    before = browser.run("return refreshToken")
    browser.run("await renew()")
    assert browser.run("return refreshToken") != before
    assert browser.run(TRY) == email
    for outage in ("Promise.reject(new TypeError())", "Promise.resolve(new Response('{}', {status: 503}))"):
        browser.run(f"const real = fetch; window.fetch = () => {outage}; await renew(); window.fetch = real")
    assert browser.run(TRY) == email, "an outage signs nobody out"
    await server_client.logout(before)
    browser.run("await renew()")
    browser.wait_for_text("output", "Sign in again")
    assert browser.run(TRY) == "missing-access-token"


# Opens the form of an operation of Swagger UI, sends it as it is filled in, and returns the status of the answer.
SEND = """
const until = async (find) => {
  for (let found; ; await new Promise((go) => setTimeout(go, 20))) if ((found = find())) return found;
};
const named = (block) => block.querySelector(".opblock-summary-path").dataset.path === args[0];
const block = await until(() => [...document.querySelectorAll(".opblock-post")].find(named));
const click = async (selector) => (await until(() => block.querySelector(selector))).click();
if (!block.classList.contains("is-open")) {
  await click(".opblock-summary-control");
  await click(".try-out__btn");
}
await click(".execute");
const told = () => block.querySelector(".live-responses-table tbody .response-col_status")?.textContent;
return (await until(told)).trim();
"""


async def test_the_forms_of_the_refresh_token_work_as_they_are_filled_in(
    browser: Browser, server: Server, server_client: Client
) -> None:
    """Whoever refreshes there goes on with the new token: the old one would end the session when it comes again."""
    email = f"{uuid4().hex}@example.com"
    (await server_client.register(email)).raise_for_status()
    open_page(browser, server)
    sign_in(browser, email, PASSWORD)
    browser.wait_for_text("output", "Signed in")
    before = browser.run("return refreshToken")
    assert browser.run(SEND, "/auth/refresh").startswith("200")
    assert browser.run("return refreshToken") != before
    assert browser.run(TRY) == email
    assert browser.run(SEND, "/auth/logout").startswith("204")
    assert browser.run(TRY) == "invalid-access-token"


async def test_the_page_says_so_where_it_cannot_go_on(browser: Browser, server: Server, server_client: Client) -> None:
    email = f"{uuid4().hex}@example.com"
    (await server_client.register(email)).raise_for_status()
    app = await Authenticator.add(server_client, await server_client.sign_in(email))
    open_page(browser, server)
    told = "return refused({code: args[0], methods: ['passkey']})"
    assert "passkey" in browser.run(told, "second-factor-required")
    assert "must add a second factor first" in browser.run(told, "second-factor-enrolment-required")
    sign_in(browser, email, PASSWORD)
    browser.wait_for_text("output", "enter a code")
    browser.click("#back")  # a challenge does not live for ever
    sign_in(browser, email, PASSWORD)
    browser.wait_for_text("output", "enter a code")
    browser.type("code", app.recovery_codes[0])
    browser.click("#go")
    browser.wait_for_text("output", "Signed in")
