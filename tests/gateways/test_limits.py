"""What a gateway keeps away from the service: repeated questions for the keys, large requests and slow clients."""

from contextlib import ExitStack

from tests.support.gateway_places import Place, Service, User
from tests.support.raw_http import connection
from tests.support.server import wait_until

JWKS = "/.well-known/jwks.json"


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
