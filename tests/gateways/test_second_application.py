"""A second application behind each gateway, by the lines of docs/gateways.md."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.claims import runs
from tests.support.echo_upstream import EchoUpstream
from tests.support.gateway_places import Fleet, User
from tests.support.gateways import installed
from tests.support.markdown import block

Add = Callable[[str, str, str], str]
PAGE = "docs/gateways.md"


@pytest.fixture
def shop() -> Iterator[EchoUpstream]:
    with EchoUpstream() as running:
        yield running


def nginx(name: str, text: str, lines: str) -> str:
    added: dict[str, str] = dict(
        re.findall(r"^cat >>/etc/nginx/(\S+) <<'END'\n(.*?)^END$", lines, re.MULTILINE | re.DOTALL)
    )
    return text + added.get(name, "")


def caddy(name: str, text: str, lines: str) -> str:
    return text.replace("\t\terror 404\n", f"{lines}\n\t\terror 404\n") if name == "Caddyfile" else text


def haproxy(name: str, text: str, lines: str) -> str:
    if name != "haproxy.cfg":
        return text
    acl, use, rest = lines.split("\n", 2)
    text = text.replace("    acl is_app path_beg /app/\n", f"{acl}\n")
    return text.replace("    use_backend app", f"{use}\n    use_backend app") + rest + "\n"


@pytest.mark.parametrize(
    ("name", "add"),
    [
        ("nginx", nginx),  # test_fresh_debian.py runs them as they stand
        pytest.param("caddy", caddy, marks=runs(PAGE, "run: second caddy")),
        pytest.param("haproxy", haproxy, marks=runs(PAGE, "run: second haproxy")),
    ],
)
def test_a_second_application_is_protected_as_the_first_is(
    fleet: Fleet, ada: User, shop: EchoUpstream, name: str, add: Add
) -> None:
    lines = block(PAGE, f"run: second {name}").replace("127.0.0.1:3001", f"127.0.0.1:{shop.port}")
    with ExitStack() as stack:
        place = fleet.start(installed(name), stack, edit=lambda file, text: add(file, text, lines))
        forged = {"X-Auth-User": "root", "X-User": "root"}
        assert place.client.get("/shop/a", headers=forged).status_code == 401
        assert place.client.post("/shop/b", headers={**forged, **ada.headers}, content=b"x").status_code == 200
        assert place.client.get(f"/app/beside-{shop.port}", headers=ada.headers).status_code == 200
        assert len(place.heard(f"beside-{shop.port}")) == 1
    (got,) = shop.received
    assert (got.target, got.length) == ("/shop/b", 1)
    assert [got.values(header) for header in ("X-Auth-User", "X-User")] == [[ada.id], []]
