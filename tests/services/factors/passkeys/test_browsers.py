"""Passkeys of a real Chromium, with authenticators and pages that are honest, and with such as are not.

The service is of the domain `example.test`, and its page on `https://app.example.test`. What is refused here was signed
by the browser all the same.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import environment
from tests.support.browser import Browser, Site
from tests.support.ceremonies import Ceremonies, Refused
from tests.support.certificates import make_certificate
from tests.support.forge import part
from tests.support.passkeys import decode
from tests.support.postgres import Postgres
from tests.support.problems import assert_problem
from tests.support.server import Server
from tests.support.virtual_authenticator import VirtualAuthenticator

ALLOW = "publickey-credentials-get *; publickey-credentials-create *"
COUNTERS = "SELECT string_agg(event, ' ' ORDER BY id) FROM audit_events WHERE user_id = '{}' AND event LIKE 'passkey.%'"


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A web server that is every site: the service's own page, and those of others."""
    tls, _ = make_certificate(tmp_path_factory.mktemp("site"))
    with Site(tls, browser.https_port) as running:
        running.pages["/"] = "<!doctype html><title>a page</title><button>press</button>"
        framed = running.origin("app.example.test")
        running.pages["/frame"] = f'<!doctype html><iframe src="{framed}/" allow="{ALLOW}"></iframe>'
        yield running


@pytest.fixture(scope="module")
def database(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    name = f"passkeys_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def service(
    site: Site, postgres: Postgres, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    env = environment(
        postgres.url(database),
        AUTH_PASSKEYS__RP_ID="example.test",
        AUTH_PASSKEYS__ORIGINS=f"{site.origin('app.example.test')},{site.origin('related.test')}",
        AUTH_PASSKEYS__TOP_ORIGINS=site.origin("portal.test"),
        AUTH_THROTTLE__ENABLED="false",
    )
    with Server(env, tmp_path_factory.mktemp("passkeys")) as server:
        server.wait_ready(60)
        yield server


@pytest.fixture
def page(browser: Browser, site: Site, service: Server) -> Iterator[Ceremonies]:
    """The service's own page, open in the browser."""
    ceremonies = Ceremonies(browser, service.base_url)
    browser.open(site.origin("app.example.test"))
    yield ceremonies
    browser.driver.switch_to.default_content()
    ceremonies.http.close()


@pytest.fixture
def authenticator(browser: Browser) -> Iterator[VirtualAuthenticator]:
    with VirtualAuthenticator.plugged_in(browser) as plugged_in:
        yield plugged_in


@pytest.fixture
def synced(browser: Browser) -> Iterator[VirtualAuthenticator]:
    """An authenticator whose passkeys are backed up, as those of phones are."""
    with VirtualAuthenticator.plugged_in(browser, synced=True) as plugged_in:
        yield plugged_in


@pytest.fixture
def email() -> str:
    """The address of somebody whom no other test knows."""
    return f"ada.{uuid4().hex}@example.com"


def client_data(body: dict[str, Any]) -> dict[str, Any]:
    """What the browser says of where it signed."""
    said: dict[str, Any] = json.loads(decode(body["credential"]["response"]["clientDataJSON"]))
    return said


def test_a_passkey_that_stays_on_its_device_signs_in_without_a_name(
    page: Ceremonies, authenticator: VirtualAuthenticator, email: str
) -> None:
    added = page.enrol(email)
    assert len(added["recovery_codes"]) == 10
    (credential,) = authenticator.credentials()
    assert credential["userName"] == email
    answer = page.log_in()
    assert answer.status_code == 200, answer.text
    claims = part(answer.json()["access_token"], 1)
    assert (claims["acr"], claims["amr"]) == ("phr", ["hwk", "user"])


@pytest.mark.usefixtures("authenticator")
def test_the_autofill_of_the_browser_signs_in_too(page: Ceremonies, email: str) -> None:
    page.enrol(email)
    assert page.log_in(page.assertion(mediation="conditional")).status_code == 200


def test_the_browser_forgets_what_is_not_among_the_accepted_credentials(
    page: Ceremonies, authenticator: VirtualAuthenticator, email: str, browser: Browser
) -> None:
    told = page.factors(page.enrol(email))["accepted_credentials"]
    (credential,) = authenticator.credentials()
    (named,) = told["credential_ids"]
    signal = """
        const [{rp_id: rpId, user_id: userId}, allAcceptedCredentialIds] = args;
        await PublicKeyCredential.signalAllAcceptedCredentials({rpId, userId, allAcceptedCredentialIds});
    """
    assert browser.run(signal, told, [named]) is None
    assert authenticator.credentials() == [credential]
    assert browser.run(signal, told, []) is None
    assert authenticator.credentials() == []


def test_an_authenticator_makes_one_passkey_for_a_user(
    page: Ceremonies, authenticator: VirtualAuthenticator, email: str
) -> None:
    added = page.enrol(email)
    with pytest.raises(Refused, match="InvalidStateError"):
        page.creation(added)
    assert len(authenticator.credentials()) == 1


@pytest.mark.parametrize("bit", ["isBadUV", "isBadUP", "isBogusSignature"])
def test_an_answer_without_the_user_or_a_good_signature_signs_nobody_in(
    page: Ceremonies, authenticator: VirtualAuthenticator, email: str, bit: str
) -> None:
    page.enrol(email)
    with authenticator.answering(**{bit: True}):
        assert_problem(page.log_in(), 401, "invalid-credentials")
    assert page.log_in().status_code == 200


@pytest.mark.parametrize("bit", ["isBadUV", "isBadUP"])
def test_a_passkey_that_was_made_without_the_user_is_not_added(
    page: Ceremonies, authenticator: VirtualAuthenticator, email: str, bit: str
) -> None:
    tokens = page.account(email)
    with authenticator.answering(**{bit: True}):
        assert_problem(page.add(tokens, page.creation(tokens)), 400, "invalid-challenge")
    assert page.factors(tokens)["items"] == []


def test_a_browser_that_cannot_verify_the_user_makes_and_signs_nothing(
    page: Ceremonies, authenticator: VirtualAuthenticator, email: str
) -> None:
    """It is told to, and would else leave it to the service to refuse."""
    tokens = page.account(email)
    authenticator.set_user_verified(verified=False)
    with pytest.raises(Refused, match="NotAllowedError"):
        page.creation(tokens)
    authenticator.set_user_verified(verified=True)
    assert page.add(tokens, page.creation(tokens)).status_code == 201
    authenticator.set_user_verified(verified=False)
    with pytest.raises(Refused, match="NotAllowedError"):
        page.assertion()


@pytest.mark.usefixtures("authenticator")
def test_what_signed_in_once_does_not_sign_in_again(page: Ceremonies, email: str) -> None:
    page.enrol(email)
    assertion = page.assertion()
    assert page.log_in(assertion).status_code == 200
    assert_problem(page.log_in(assertion), 401, "invalid-credentials")


def test_a_copy_of_a_passkey_that_stays_on_its_device_is_refused_and_noted(
    page: Ceremonies, authenticator: VirtualAuthenticator, email: str, postgres: Postgres, database: str
) -> None:
    user_id = part(page.enrol(email)["access_token"], 1)["sub"]
    copies = authenticator.credentials()
    assert page.log_in().status_code == 200
    genuine = authenticator.credentials()
    authenticator.replace(copies)
    assert_problem(page.log_in(), 401, "invalid-credentials")
    assert postgres.execute(COUNTERS.format(user_id), database) == "passkey.counter_refused"
    authenticator.replace(genuine)
    assert page.log_in().status_code == 200


def test_a_counter_that_falls_is_noted_of_a_passkey_that_is_synced_and_no_more(
    page: Ceremonies, synced: VirtualAuthenticator, email: str, postgres: Postgres, database: str
) -> None:
    user_id = part(page.enrol(email)["access_token"], 1)["sub"]
    copies = synced.credentials()
    claims = part(page.log_in().json()["access_token"], 1)
    assert (claims["acr"], claims["amr"]) == ("phr", ["swk", "user"])
    synced.replace(copies)
    assert page.log_in().status_code == 200
    assert postgres.execute(COUNTERS.format(user_id), database) == "passkey.counter_fell"


@pytest.mark.parametrize("eligible", [False, True])
def test_whether_a_passkey_may_be_backed_up_never_changes(
    browser: Browser, page: Ceremonies, email: str, eligible: bool
) -> None:
    with VirtualAuthenticator.plugged_in(browser, synced=eligible) as authenticator:
        page.enrol(email)
        (credential,) = authenticator.credentials()
        authenticator.set_backup(credential, eligible=not eligible, backed_up=False)
        assert_problem(page.log_in(), 401, "invalid-credentials")
        authenticator.set_backup(credential, eligible=eligible, backed_up=False)
        assert page.log_in().status_code == 200


def test_the_owner_sees_whether_a_passkey_is_backed_up_now(
    page: Ceremonies, synced: VirtualAuthenticator, email: str
) -> None:
    tokens = page.enrol(email)
    for backed_up in (True, False, True):
        synced.set_backup(*synced.credentials(), eligible=True, backed_up=backed_up)
        tokens = page.log_in().json()
        (item,) = page.factors(tokens)["items"]
        assert (item["backup_eligible"], item["backed_up"]) == (True, backed_up)


def enter_frame(browser: Browser, site: Site, host: str) -> None:
    """Open a page of a host that has the service's own page in a frame, and press something there, as a user does."""
    browser.open(site.origin(host) + "/frame")
    browser.driver.switch_to.frame(0)
    browser.click("button")  # or the browser would make no passkey there


@pytest.mark.usefixtures("authenticator")
def test_in_a_frame_of_a_page_that_is_not_listed_the_own_page_is_refused(
    browser: Browser, site: Site, page: Ceremonies, email: str
) -> None:
    tokens = page.account(email)
    enter_frame(browser, site, "evil.test")
    made = page.creation(tokens)
    told = client_data(made)
    assert (told["origin"], told["topOrigin"]) == (site.origin("app.example.test"), site.origin("evil.test"))
    assert_problem(page.add(tokens, made), 400, "invalid-challenge")

    enter_frame(browser, site, "portal.test")  # which is listed
    assert page.add(tokens, page.creation(tokens)).status_code == 201
    assert page.log_in().status_code == 200

    enter_frame(browser, site, "evil.test")
    assert_problem(page.log_in(), 401, "invalid-credentials")


@pytest.mark.usefixtures("authenticator")
def test_in_a_frame_of_its_own_site_it_is_as_good_as_outside(
    browser: Browser, site: Site, page: Ceremonies, email: str
) -> None:
    page.enrol(email)
    enter_frame(browser, site, "app.example.test")
    assert page.log_in().status_code == 200


def test_the_page_of_a_sibling_gets_a_signature_from_the_browser_and_no_session_from_the_service(
    browser: Browser, site: Site, page: Ceremonies, authenticator: VirtualAuthenticator, email: str
) -> None:
    """Browsers let every host below the domain `example.test` use its passkeys."""
    added = page.enrol(email)
    for host in ("evil.example.test", "example.test", "sub.app.example.test"):
        browser.open(site.origin(host))
        assertion = page.assertion()
        assert client_data(assertion)["origin"] == site.origin(host)
        assert_problem(page.log_in(assertion), 401, "invalid-credentials")
    authenticator.replace([])  # or the browser would not make a second one
    assert_problem(page.add(added, page.creation(added)), 400, "invalid-challenge")
    assert len(page.factors(added)["items"]) == 1


def test_a_page_of_another_domain_gets_no_signature_at_all(
    browser: Browser, site: Site, page: Ceremonies, authenticator: VirtualAuthenticator, email: str
) -> None:
    page.enrol(email)
    browser.open(site.origin("evil.test"))
    with pytest.raises(Refused, match="SecurityError"):
        page.assertion()
    assert [credential["signCount"] for credential in authenticator.credentials()] == [1]


@pytest.mark.usefixtures("authenticator")
def test_a_page_of_another_domain_that_is_listed_uses_the_same_passkeys(
    browser: Browser, site: Site, page: Ceremonies, email: str
) -> None:
    """The browser asks the domain for the service's list before it signs."""
    page.enrol(email)
    site.pages["/.well-known/webauthn"] = page.http.get("/.well-known/webauthn").raise_for_status().text
    browser.open(site.origin("related.test"))
    assertion = page.assertion()
    assert client_data(assertion)["origin"] == site.origin("related.test")
    assert page.log_in(assertion).status_code == 200
    browser.open(site.origin("evil.test"))
    with pytest.raises(Refused, match="SecurityError"):
        page.assertion()
