"""Passkeys by the JavaScript client, in a real headless Chromium, on the double."""

from pathlib import Path
from uuid import uuid4

from auth_service.testing.double import Double
from tests.support.browser import Browser, Site
from tests.support.client import PASSWORD
from tests.support.virtual_authenticator import VirtualAuthenticator

# In a page: the client as a module, and an account that is signed in.
BEGIN = """
const [module, url, email, password] = args;
const code = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
const {createAuth} = await import(code);
window.auth = createAuth({url, mode: "cookie", onStepUp: () => auth.stepUp({passkey: true}).then(() => true)});
await auth.signUp({email, password});
await auth.signIn({email, password});
const added = await auth.addPasskey("the first");
return [added.name, added.recovery_codes.length, auth.state.status];
"""
SIGN_IN = """
await auth.signOut();
const signedIn = await auth.signInWithPasskey(args[0]);
return [signedIn, (await auth.request("GET", "/auth/me")).email];
"""
SECOND_STEP = """
const [email, password] = args;
await auth.signOut();
const error = await auth.signIn({email, password}).catch((error) => error);
await auth.secondFactor(error.problem);
return [error.code, auth.state.status];
"""
GIVE_UP = """
await auth.signOut();
const waits = auth.signInWithPasskey({autofill: true});
await new Promise((resolve) => setTimeout(resolve, 200));
window.ended = auth.signInWithPasskey().catch((error) => error.name);
return waits;
"""
BY_OTHER_MEANS = """
const [email, password] = args;
await auth.signOut();
const waits = auth.signInWithPasskey({autofill: true});
await new Promise((resolve) => setTimeout(resolve, 200));
await auth.signUp({email, password});
await auth.signIn({email, password});
return waits;
"""
FORGOTTEN = """
const {items} = await auth.request("GET", "/auth/me/factors");
for (const {id} of items) await auth.request("DELETE", "/auth/me/factors/{factor_id}", {params: {factor_id: id}});
await auth.signOut();
const error = await auth.signInWithPasskey().catch((error) => error);
return [error.code, error.problem.unknown_credential];
"""


def test_passkeys_sign_in_are_the_second_step_and_step_up(project: Path, browser: Browser) -> None:
    module, email = (project / "dist" / "index.js").read_text(), f"{uuid4().hex}@example.com"
    with Site() as site, Double([site.origin()]) as double, VirtualAuthenticator.plugged_in(browser) as authenticator:
        assert double.url.startswith("http://localhost:"), "the page's own site, as it prints it"
        browser.open(site.origin())
        assert browser.run(BEGIN, module, double.url, email, PASSWORD) == ["the first", 10, "signed-in"]
        assert browser.run(SIGN_IN, {}) == [True, email]
        assert browser.run(SIGN_IN, {"autofill": True}) == [True, email]
        assert browser.run(SECOND_STEP, email, PASSWORD) == ["second-factor-required", "signed-in"]
        authenticator.set_user_present(present=False)
        assert browser.run(GIVE_UP) is False, "one request for a passkey ends another"
        assert browser.run(BY_OTHER_MEANS, f"{uuid4().hex}@example.com", PASSWORD) is False
        authenticator.set_user_present(present=True)
        assert browser.run(SIGN_IN, {}) == [True, email]
        assert browser.run("return window.ended") == "AbortError"
        double.set_clock(1200)  # the sign-in is not recent enough to remove a passkey
        assert browser.run(FORGOTTEN) == ["invalid-credentials", True]
