"""Back ends that sign their users in, from docs/server-rendered.md as they are: each user keeps their own address.

Three wrong guesses are all that one address has in these tests, and every visitor has an address of their own.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.gateway_places import INTERNAL_TOKEN, Service
from tests.support.gateways import Gateway
from tests.support.markdown import named, ran
from tests.support.postgres import Postgres
from tests.support.processes import events
from tests.support.rendered_site import Visitor, back_end, nginx_before

PAGE = "docs/server-rendered.md"
SETTINGS = dict(re.findall(r"(AUTH_\w+)=(\S+)", named(PAGE, "run: settings").text))


@pytest.fixture(scope="module", params=["trusted", "not trusted"])
def service(
    request: pytest.FixtureRequest, postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One that has been told of the back end as the page says, and one that has not."""
    name = f"back_ends_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    told = SETTINGS if request.param == "trusted" else {}
    few = {"AUTH_THROTTLE__ADDRESS_FAILURES": "3", "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN, "AUTH_LOG__FORMAT": "json"}
    running = Service(environment(postgres.url(name), **few, **told), tmp_path_factory.mktemp("back-ends"))
    yield running
    running.stop()
    postgres.drop_database(name)


@pytest.fixture(params=["pages.py", "back.mjs"])
def site(request: pytest.FixtureRequest, service: Service, tmp_path: Path) -> Iterator[Gateway]:
    with (
        back_end(request.param, service.port, tmp_path / "site") as port,
        nginx_before(port, service.port, tmp_path / "nginx") as running,
    ):
        yield running


@pytest.fixture
def people(service: Service) -> list[str]:
    """Two accounts of this test's own."""
    found = [f"{uuid4().hex}@example.com" for _ in range(2)]
    for email in found:
        body = {"email": email, "password": PASSWORD}
        url = f"http://127.0.0.1:{service.port}/auth/register"
        httpx.post(url, json=body, trust_env=False, timeout=30).raise_for_status()
    return found


def sessions(service: Service, visitor: Visitor) -> list[dict[str, str]]:
    bearer = {"Authorization": f"Bearer {visitor.tokens[0]}"}
    answer = httpx.get(f"http://127.0.0.1:{service.port}/auth/sessions", headers=bearer, trust_env=False, timeout=30)
    return [dict(item) for item in answer.raise_for_status().json()["items"]]


@pytest.mark.parametrize(
    "site",
    [
        pytest.param("pages.py", marks=runs(PAGE, "run: settings", "run: pages.py")),
        pytest.param("back.mjs", marks=runs(PAGE, "run: settings", "run: back.mjs")),
    ],
    indirect=True,
)
@pytest.mark.parametrize("service", ["trusted"], indirect=True)
def test_wrong_guesses_of_one_lock_nobody_else_out(
    site: Gateway, people: list[str], request: pytest.FixtureRequest
) -> None:
    number = 20 + sum(map(ord, request.node.name)) % 100
    with Visitor(site, f"127.0.1.{number}") as mallory, Visitor(site, f"127.0.2.{number}") as ada:
        statuses = [mallory.sign_in(people[0], f"wrong {PASSWORD} {guess}").status_code for guess in range(4)]
        assert statuses == [401, 401, 401, 429]
        assert ada.sign_in(people[1]).status_code == 303
        ran(PAGE, "run: settings")
        assert mallory.sign_in(people[1]).status_code == 429


@pytest.mark.parametrize("service", ["trusted"], indirect=True)
def test_the_list_of_sessions_shows_the_users_own_device_whatever_they_forge(
    site: Gateway, service: Service, people: list[str]
) -> None:
    with Visitor(site, "127.0.3.9") as ada:
        assert (
            ada.sign_in(people[0], **{"User-Agent": "Firefox of Ada", "X-Forwarded-For": "6.6.6.6"}).status_code == 303
        )
        (session,) = sessions(service, ada)
        assert (session["ip"], session["user_agent"]) == ("127.0.3.9", "Firefox of Ada")


@pytest.mark.parametrize("service", ["not trusted"], indirect=True)
def test_without_the_setting_the_header_is_ignored_and_the_log_says_so(
    site: Gateway, service: Service, people: list[str]
) -> None:
    with Visitor(site, "127.0.4.9") as ada:
        assert ada.sign_in(people[0], **{"User-Agent": "Firefox of Ada"}).status_code == 303
        (session,) = sessions(service, ada)
        assert (session["ip"], session["user_agent"]) == ("127.0.0.1", "Firefox of Ada")
        (line, *_) = events(service.log(), "proxy.untrusted")
        assert line["peer"] == "127.0.0.1"
