"""Who gets through a gateway to an application: whoever verify knows, with every verb and body, and nobody else."""

import hashlib
from collections.abc import Iterator

import pytest

from tests.support.client import Client
from tests.support.gateway_places import CLIENT_ADDRESS, Place, Service, User
from tests.support.processes import events
from tests.support.raw_http import exchange
from tests.support.server import wait_until

VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW"]
MEGABYTE = bytes(range(256)) * 4096
BODIES = {"none": b"", "small": b'{"a": 1}', "nine megabytes": MEGABYTE * 9}  # of ten that may be


def in_chunks(body: bytes) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def test_a_good_token_is_let_through_with_every_verb(place: Place, ada: User, mark: str) -> None:
    for verb in VERBS:
        answer = place.client.request(verb, f"/app/{mark}/{verb}?a=1&role=admin", headers=ada.headers)
        assert answer.status_code == 200, verb
        (got,) = place.heard(f"{mark}/{verb}")
        assert (got.method, got.target) == (verb, f"/app/{mark}/{verb}?a=1&role=admin")
        assert got.values("X-Auth-User") == [ada.id]
        assert got.values("X-Auth-Session") == [ada.tokens["session_id"]]
        assert got.values("X-Auth-Role") == ["user"]
        assert got.values("X-Internal-Token") == []


@pytest.mark.parametrize("host", ["site.example", "site.example:8443", "SITE.example", "127.0.0.1:8080", "[::1]:8080"])
def test_the_application_is_told_the_host_with_its_port(place: Place, ada: User, mark: str, host: str) -> None:
    """Its links and its comparisons of origins go by it."""
    for number, target in enumerate((f"/app/{mark}", f"http://{host}/app/{mark}")):  # RFC 9112, section 3.2
        head = f"GET {target}-{number} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        answer = exchange(place.port, f"{head}Authorization: {ada.headers['Authorization']}\r\n\r\n".encode())
        assert answer.status == 200, answer
        (got,) = place.heard(f"{mark}-{number}")
        assert [(got.values(name)[0].lower()) for name in ("Host", "X-Forwarded-Host")] == [host.lower()] * 2
        assert got.target == f"/app/{mark}-{number}"


def test_no_token_is_a_401_with_every_verb_and_the_application_hears_nothing(place: Place, mark: str) -> None:
    for verb in VERBS:
        answer = place.client.request(verb, f"/app/{mark}")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), verb
    assert place.heard(mark) == []


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "bearer x"])
def test_a_token_that_is_not_good_is_a_401_and_the_application_hears_nothing(
    place: Place, ada: User, mark: str, scheme: str
) -> None:
    head, payload, _ = ada.tokens["access_token"].split(".")
    answer = place.client.get(f"/app/{mark}", headers={"Authorization": f"{scheme} {head}.{payload}.{'A' * 86}"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert place.heard(mark) == []


def test_nobody_is_denied_access_behind_a_gateway_without_their_address_in_the_log(
    place: Place, service: Service, mark: str
) -> None:
    forged = {"X-Request-ID": mark, "X-Forwarded-For": "203.0.113.66"}
    assert place.client.get("/app/x", headers=forged).status_code == 401
    wait_until(lambda: bool(events(service.log(), "request", request_id=mark)), 10, lambda: "no line of the request")
    (line,) = events(service.log(), "request", request_id=mark)
    assert (line["path"], line["ip"]) == ("/internal/verify", CLIENT_ADDRESS)


@pytest.mark.parametrize("good_first", [True, False])
def test_a_second_authorization_header_does_not_get_past(place: Place, ada: User, mark: str, good_first: bool) -> None:
    both = [*ada.headers.items(), ("Authorization", "Bearer another")]
    answer = place.client.get(f"/app/{mark}", headers=both if good_first else both[::-1])
    assert answer.status_code in {400, 401}
    assert place.heard(mark) == []


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_whole_or_not_at_all_and_the_connection_goes_on(
    place: Place, ada: User, mark: str, body: str, chunked: bool
) -> None:
    content = BODIES[body]

    def post(path: str, headers: dict[str, str]) -> int:
        sent = in_chunks(content) if chunked else content
        return place.client.post(f"/app/{mark}/{path}", headers=headers, content=sent).status_code

    for turn in "abc":  # on one connection, where there is no reason to close it
        assert post(f"refused-{turn}", {}) == 401
        assert post(f"allowed-{turn}", ada.headers) == 200
    assert [got.digest for got in place.heard(mark)] == [hashlib.sha256(content).hexdigest()] * 3
    assert place.heard("refused") == []


def test_a_role_is_required_where_the_configuration_says_so(place: Place, ada: User, root: User, mark: str) -> None:
    for path in ("admin", "admin/", "admin/x", "%61dmin/x", "ADMIN/x", "admin/x?role=user", "admin.json"):
        refused = place.client.get(f"/app/{path}", headers=ada.headers)
        assert refused.status_code == 403, path
    assert place.client.get("/app/admin/x").status_code == 401
    assert place.client.get(f"/app/admin/{mark}", headers=root.headers).status_code == 200
    (got,) = place.heard(mark)
    assert got.values("X-Auth-Role") == ["admin"]


async def test_a_logout_through_the_gateway_is_seen_at_the_application(place: Place, ada: User, mark: str) -> None:
    async with Client(base_url=place.gateway.base_url, trust_env=False, timeout=30) as client:
        assert (await client.get(f"/app/{mark}", headers=ada.headers)).status_code == 200
        assert (await client.logout(ada.tokens["refresh_token"])).status_code == 204
    # bench/gateways.py measures how soon; here, that it comes.
    wait_until(lambda: place.client.get("/app/x", headers=ada.headers).status_code == 401, 10, lambda: "still let in")
