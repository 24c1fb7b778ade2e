"""What a gateway refuses by itself it explains as the service does; what an application refuses it leaves alone."""

import http.client
import select
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.gateway_places import Fleet, Place, User
from tests.support.gateways import Kind
from tests.support.raw_http import Answer, connection, read_answer
from tests.support.server import free_port

LOGIN = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
NO_CHUNKS = b"zz\r\n\r\n"
TO_APP = "POST /app/MARK HTTP/1.1\r\nHost: x\r\nADA\r\n"
LARGE = 10 * 1024 * 1024 + 1


@dataclass(frozen=True)
class Case:
    """A request, and the answer: its status, its code and how its WWW-Authenticate begins."""

    head: str
    status: int
    code: str
    body: bytes = b""
    challenge: str = ""


def page(path: str, authorization: str = "X-No: token") -> str:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}\r\n"


CASES = {
    "no such path": Case(page("/nothing"), 404, "not-found"),
    "a path inside": Case(page("/internal/verify"), 404, "not-found"),
    "a path with two readings": Case(page("/auth/%2e%2e/internal/verify"), 400, "bad-request"),
    "a body in no chunks": Case(f"{LOGIN}Transfer-Encoding: chunked\r\n", 400, "bad-request", NO_CHUNKS),
    "one for the application": Case(f"{TO_APP}Transfer-Encoding: chunked\r\n", 400, "bad-request", NO_CHUNKS),
    "two tokens": Case(page("/app/MARK", "ADA\r\nAuthorization: Bearer x"), 400, "bad-request"),
    "two for the service": Case(page("/auth/me", "ADA\r\nAuthorization: Bearer x"), 400, "bad-request"),
    "a large head": Case(page("/app/MARK", f"ADA\r\nX-Large: {'x' * 17_000}"), 431, "headers-too-large"),
    "no token": Case(page("/app/MARK"), 401, "missing-access-token", challenge="Bearer"),
    "a forged token": Case(
        page("/app/MARK", "Authorization: Bearer a.b.c"),
        401,
        "invalid-access-token",
        challenge='Bearer error="invalid_token"',
    ),
    "no second factor": Case(
        page("/app/payments/MARK", "ADA"),
        401,
        "step-up-required",
        challenge='Bearer error="insufficient_user_authentication"',
    ),
    "no such role": Case(
        page("/app/admin/MARK", "ADA"), 403, "insufficient-role", challenge='Bearer error="insufficient_scope"'
    ),
    "a large body": Case(f"{LOGIN}Content-Length: 200000\r\n", 413, "body-too-large", b"x" * 200_000),
    "one for the application that says so": Case(
        f"{TO_APP}Content-Length: {LARGE}\r\n", 413, "body-too-large", b"x" * LARGE
    ),
    "one that does not": Case(
        f"{TO_APP}Transfer-Encoding: chunked\r\n",
        413,
        "body-too-large",
        b"%x\r\n%b\r\n0\r\n\r\n" % (LARGE, b"x" * LARGE),
    ),
}


@dataclass(frozen=True)
class Slow:
    """The beginning of a request, the answer of each gateway, what dribbles in meanwhile, and whether it is the head.

    In that, a configuration has no say yet.
    """

    beginning: bytes
    answers: dict[str, int | None]
    drop: bytes = b"x"
    is_head: bool = False


EACH: dict[str, int | None] = {"nginx": 408, "caddy": 408, "haproxy": 408}
SLOW = [
    Slow(b"GET /auth/me HTTP/1.1\r\nHost: x\r\nX-Slow: ", {"nginx": None, "caddy": None, "haproxy": 408}, is_head=True),
    Slow(f"{LOGIN}Content-Length: 99\r\n\r\n{{".encode(), EACH),
    Slow(f"{LOGIN}Transfer-Encoding: chunked\r\n\r\n63\r\n{{".encode(), EACH),
]


def sent_by(user: User, mark: str, text: str) -> bytes:
    authorization = f"Authorization: {user.headers['Authorization']}"
    return text.replace("MARK", mark).replace("ADA", authorization).encode()


def assert_explained(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
    assert {"type", "title"} < set(answer.json())
    if status != 400:  # which no cache keeps anyway
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_is_a_problem_with_the_code_that_the_service_gives_it(
    place: Place, ada: User, mark: str, name: str
) -> None:
    if not place.kind.explains:
        pytest.skip(f"{place.kind.name} refuses in words of its own, as docs/gateways.md says")
    case = CASES[name]
    if place.kind.name == "haproxy" and (case.body == NO_CHUNKS or case.status == 431):
        pytest.skip("HAProxy refuses what it cannot read in words of its own, as docs/gateways.md says")
    with connection(place.port) as opened:
        try:
            opened.sendall(sent_by(ada, mark, f"{case.head}\r\n") + case.body)
        except ConnectionError:
            assert case.status == 413, "who is hung up on while sending has the answer already"
        answer = read_answer(opened)
    assert_explained(answer, case.status, case.code)
    assert answer.headers.get("www-authenticate", "").startswith(case.challenge)
    assert place.heard(mark) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 422, 429, 500, 502, 503, 504])
def test_what_an_application_refuses_arrives_as_it_is(place: Place, ada: User, mark: str, status: int) -> None:
    answer = place.client.get(f"/app/{mark}", headers={**ada.headers, "Answer": str(status)})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["target"] == f"/app/{mark}"
    assert {"retry-after", "www-authenticate", "cache-control"}.isdisjoint(answer.headers)


def test_an_application_that_is_down_is_a_503(kind: Kind, fleet: Fleet, ada: User, mark: str) -> None:
    if not kind.explains:
        pytest.skip(f"{kind.name} says 502")
    with ExitStack() as stack:
        place = fleet.start(kind, stack, app_port=free_port())
        with connection(place.port) as opened:
            opened.sendall(sent_by(ada, mark, page("/app/MARK", "ADA") + "\r\n"))
            answer = read_answer(opened)
    assert_explained(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"


def after_dripping(place: Place, slow: Slow) -> Answer | None:
    """The answer to whoever goes on every two seconds; None if the gateway just hangs up."""
    with connection(place.port) as opened:
        try:
            opened.sendall(slow.beginning)
            for _ in range(8):
                if select.select([opened], [], [], 2)[0]:
                    break
                opened.sendall(slow.drop)
            return read_answer(opened)
        except (http.client.HTTPException, ConnectionError):
            return None


def test_who_is_too_slow_hears_408_where_the_gateway_can_say_it(fleet: Fleet, ada: User, mark: str) -> None:
    """All at once, as each waits for ten seconds; a byte now and then wins no time, and nothing is passed on."""
    places = [place for place in fleet.all() if place.kind.explains]
    stalled = Slow(sent_by(ada, mark, f"{TO_APP}Content-Length: 99\r\n\r\n{{"), {"nginx": None, "haproxy": 408}, b"")
    asked = [(place, slow) for place in places for slow in (*SLOW, stalled) if place.kind.name in slow.answers]
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = list(threads.map(lambda one: after_dripping(*one), asked))
    for (place, slow), answer in zip(asked, answers, strict=True):
        assert (answer and answer.status) == slow.answers[place.kind.name], (place.kind.name, slow.beginning[:20])
        if answer and not slow.is_head:
            assert_explained(answer, 408, "request-timeout")
    assert all(place.heard(mark) == [] for place in places)
