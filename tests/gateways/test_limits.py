"""What a gateway keeps away from the service: repeated questions for the keys, large requests and slow clients."""

from contextlib import ExitStack, nullcontext, suppress

import pytest

from tests.support.gateway_places import Place, Service, User
from tests.support.raw_http import connection, exchange, read_answer
from tests.support.server import wait_until

JWKS = "/.well-known/jwks.json"
MEBIBYTES = 10 * 1024 * 1024

HEADS = {  # each with as many "x" as it says, and with ADA's token or one that is no token
    **{f"a header of {size}": "ADA\r\nX-Large: " + "x" * size for size in (7_000, 15_000, 17_000, 19_500, 40_000)},
    **{f"a token of {size}": "Authorization: Bearer " + "x" * size for size in range(15_000, 15_300, 20)},
    **{f"and one of {size}": "Authorization: Bearer " + "x" * size for size in (8_000, 16_300, 19_500, 40_000)},
    **{f"{number} headers": "ADA" + "\r\nX-Many: x" * number for number in (80, 95, 98, 105, 120, 150)},
    **{
        f"a token and an id of {size}": f"Authorization: Bearer {'x' * size}\r\nX-Request-ID: {'x' * size}"
        for size in (8_100, 8_150, 8_180)
    },
    **{f"an id of {size}": f"ADA\r\nX-Request-ID: {'x' * size}" for size in (129, 7_000, 14_500)},
}


def reached(place: Place, service: Service, path: str, user: User, mark: str) -> int:
    """How many of five requests for a path have reached the service, which logs their ids."""
    answers = [
        place.client.get(path, headers={**user.headers, "X-Request-ID": f"{mark}-{number}"}) for number in range(5)
    ]
    assert [answer.status_code for answer in answers] == [200] * 5
    place.client.get("/auth/me", headers={**user.headers, "X-Request-ID": f"{mark}-end"})
    wait_until(lambda: f"{mark}-end" in service.log(), 10, service.log)
    return sum(f"{mark}-{number}" in service.log() for number in range(5))


def test_the_keys_are_asked_for_once_where_the_gateway_has_a_cache(
    place: Place, service: Service, ada: User, mark: str
) -> None:
    first = place.client.get(JWKS)
    assert first.headers["cache-control"] == "public, max-age=300"
    assert reached(place, service, JWKS, ada, mark) == (0 if place.kind.caches else 5)
    unchanged = place.client.get(JWKS, headers={"If-None-Match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_answers_about_a_user_are_not_cached(place: Place, service: Service, ada: User, root: User, mark: str) -> None:
    assert reached(place, service, "/auth/me", ada, mark) == 5
    assert place.client.get("/auth/me", headers=root.headers).json()["id"] == root.id


def test_large_bodies_and_heads_are_refused(place: Place, ada: User, mark: str) -> None:
    json = {"Content-Type": "application/json"}
    for size in (17_000, 200_000):
        assert place.client.post("/auth/login", headers=json, content=b"x" * size).status_code == 413
        parts = (b"x" * 1000 for _ in range(size // 1000))
        assert place.client.post("/auth/login", headers=json, content=parts).status_code == 413
    large = place.client.get(f"/app/{mark}", headers={**ada.headers, "X-Large": "x" * 30_000})
    assert large.status_code in {400, 431}
    assert place.heard(mark) == []


def test_a_large_head_is_never_answered_as_an_outage(place: Place, ada: User) -> None:
    """Whoever gets a 503 tries again, for ever; the application here takes no more than a hundred headers itself."""
    seen = {}
    for name, head in HEADS.items():
        lines = head.replace("ADA", f"Authorization: {ada.headers['Authorization']}")
        answer = exchange(place.port, f"GET /app/x HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n".encode())
        seen[name] = (answer.status, answer.headers.get("retry-after"))
    assert {name: found for name, found in seen.items() if found not in {(n, None) for n in (200, 400, 401, 431)}} == {}
    assert [seen[f"an id of {size}"][0] for size in (129, 7_000)] == [200, 200], "the service makes one of its own"
    assert seen["an id of 14500"][0] == (431 if place.kind.name == "nginx" else 200), "as any header of that length"
    assert [seen[name][0] for name in ("a header of 7000", "80 headers", "and one of 8000")] == [200, 200, 401]


def test_a_body_may_have_ten_mebibytes(place: Place, ada: User, mark: str) -> None:
    """One byte more is refused: tests/gateways/test_refusals.py."""
    pieces = (b"x" * 65_536 for _ in range(MEBIBYTES // 65_536))
    for content in (b"x" * MEBIBYTES, pieces):
        assert place.client.post(f"/app/{mark}", headers=ada.headers, content=content).status_code == 200
    assert [got.length for got in place.heard(mark)] == [MEBIBYTES] * 2


@pytest.mark.parametrize("size", [17_000, 200_000, 3_000_000])
@pytest.mark.parametrize("framing", ["declared", "chunked"])
def test_who_sends_a_large_body_to_its_end_before_reading_reads_the_refusal(
    place: Place, framing: str, size: int
) -> None:
    """A client that is hung up on while it sends has the answer already, if it looks; most get to the end."""
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    declared = head + b"Content-Length: %d\r\n\r\n" % size
    beginning, piece, end = {
        "declared": (declared, b"x" * 1000, b""),
        "chunked": (head + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n", b"0\r\n\r\n"),
    }[framing]
    for _ in range(3):
        with connection(place.port) as opened:
            reaches_the_end = place.kind.name in {"nginx", "haproxy"}
            with nullcontext() if reaches_the_end else suppress(ConnectionError):
                opened.sendall(beginning)
                for _ in range(size // 1000):
                    opened.sendall(piece)
                opened.sendall(end)
            assert read_answer(opened).status == 413


@pytest.mark.parametrize("offer", ["h2c", "websocket"])
def test_an_offer_of_another_protocol_loses_no_body(place: Place, offer: str) -> None:
    body, words = (
        b'{"refresh_token": "x"}',
        b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    )
    head = (
        b"POST /auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nUpgrade: %b\r\n" % offer.encode()
    )
    for framed in (
        b"Content-Length: 22\r\n\r\n" + body,
        b"Transfer-Encoding: chunked\r\n\r\n16\r\n" + body + b"\r\n0\r\n\r\n",
    ):
        assert exchange(place.port, head + words + framed).status == 204


def test_head_is_answered_by_what_the_gateway_lets_through(place: Place, ada: User) -> None:
    for path in ("/auth/me", JWKS, "/problems/not-found", "/app/x"):
        answer = place.client.head(path, headers=ada.headers)
        assert (answer.status_code, answer.content) == (200, b"")


def test_slow_clients_do_not_hold_others_up(place: Place, ada: User) -> None:
    beginnings = [
        b"GET /app/x HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        b"POST /app/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
    ]
    with ExitStack() as stack:
        for beginning in beginnings * 20:
            stack.enter_context(connection(place.port)).sendall(beginning)
        for path in ("/app/x", "/auth/me"):
            answer = place.client.get(path, headers=ada.headers)
            assert answer.status_code == 200
            assert answer.elapsed.total_seconds() < 8  # they are hung up on after ten
