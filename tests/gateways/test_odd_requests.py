"""What is unusual in HTTP: each gateway makes sense of it or refuses it, and nothing of the inside answers."""

from dataclasses import dataclass

import pytest

from tests.support.gateway_places import INTERNAL_TOKEN, Place, User
from tests.support.raw_http import connection, read_answer

LOGOUT = b'{"refresh_token": "x"}'
JSON = "Content-Type: application/json\r\nContent-Length: 22\r\n"
INSIDE = ("/internal/verify", "/internal/revocations", "/metrics", "/health/ready", "/admin/users", "/docs")

FIRST_LINES = ("OPTIONS {}", "HEAD {}", "TRACE {}", "GET http://x{}", "GET HTTP://127.0.0.1:8000{}", "GET {}?a=/auth/")


@dataclass(frozen=True)
class Odd:
    """A request in full, without its end, and how it may be answered."""

    head: str
    answers: set[int]
    body: bytes = b""


def get(target: str, lines: str = "Host: x\r\nADA\r\n", verb: str = "GET", version: str = "1.1") -> str:
    return f"{verb} {target} HTTP/{version}\r\n{lines}"


def logout(lines: str) -> str:
    return f"POST /auth/logout HTTP/1.1\r\nHost: x\r\n{lines}"


TABLE = {
    "no path": Odd(get("*", verb="OPTIONS"), {200, 400}),
    "no path to get": Odd(get("*"), {400}),
    "what a path takes": Odd(get("/auth/me", verb="OPTIONS"), {204}),
    "a preflight of a strange page": Odd(
        get("/auth/me", "Host: x\r\nOrigin: http://a\r\nAccess-Control-Request-Method: GET\r\n", verb="OPTIONS"), {403}
    ),
    "a whole URL": Odd(get("http://x/auth/me"), {200}),
    "a whole URL in capitals": Odd(get("HTTP://x/auth/me"), {200}),
    "a whole URL of another host": Odd(get("http://other/auth/me"), {200, 400}),
    "a whole URL without a path": Odd(get("http://x"), {400, 404}),
    "a path without its slash": Odd(get("/auth"), {301, 404}),
    "HEAD": Odd(get("/auth/me", verb="HEAD"), {200}),
    "HEAD of the keys": Odd(get("/.well-known/jwks.json", verb="HEAD"), {200}),
    "an expected 100": Odd(logout(f"{JSON}Expect: 100-continue\r\n"), {204}, LOGOUT),
    "another expectation": Odd(logout(f"{JSON}Expect: a-miracle\r\n"), {204, 417}, LOGOUT),
    "a compressed body": Odd(logout(f"{JSON}Content-Encoding: gzip\r\n"), {415}, LOGOUT),
    "a parameter twice": Odd(get("/auth/sessions?limit=1&limit=2"), {422}),
    "a part of an answer": Odd(get("/auth/me", "Host: x\r\nADA\r\nRange: bytes=0-3\r\n"), {200}),
    "an old client": Odd(get("/auth/me", version="1.0"), {200}),
    "an old client that tells no host": Odd(get("/auth/me", "ADA\r\n", version="1.0"), {200, 400}),
    "no host": Odd(get("/auth/me", "ADA\r\n"), {400}),
    "no host for the application": Odd(get("/app/x", "ADA\r\n"), {400}),
    "no host for nothing": Odd(get("/nowhere", "ADA\r\n"), {400}),
    "a whole URL instead of a host": Odd(get("http://x/app/x", "ADA\r\n"), {400}),
    "an old client that tells the application none": Odd(get("/app/x", "ADA\r\n", version="1.0"), {200}),
    "two hosts": Odd(get("/auth/me", "Host: x\r\nHost: y\r\nADA\r\n"), {400}),
    "a host with a path": Odd(get("/auth/me", "Host: a/b\r\nADA\r\n"), {400}),
    **{
        f"{host!r} as a host for {path}": Odd(get(path, f"Host: {host}\r\nADA\r\n"), {400})
        for host in (
            "",
            "a/b",
            "a,b",
            "a b",
            "a@b",
            "a?b",
            "a#b",
            "a\\b",
            'a"b',
            "a<b",
            "x:y",
            "x:1:2",
            "[x]",
            "[::1",
            "\u00e9",
        )
        for path in ("/auth/me", "/app/x", "/.well-known/jwks.json")
    },
    **{
        f"{host!r} as a host": Odd(get("/app/x", f"Host: {host}\r\nADA\r\n"), {200})
        for host in ("X.example", "my_app", "x.example.", "x:8080", "192.0.2.1:80", "[2001:db8::1]:8080")
    },
    "TRACE": Odd(get("/auth/me", verb="TRACE"), {405}),
    "CONNECT": Odd(get("x:443", verb="CONNECT"), {400, 404, 405}),
    "no such verb": Odd(get("/auth/me", verb="BREW"), {400, 405}),
    "a verb with a bracket": Odd(get("/auth/me", verb="G(T"), {400}),
    "a version to come": Odd(get("/auth/me", version="3.1"), {200, 400, 505}),
    "a coding that nobody knows": Odd(logout("Transfer-Encoding: gzip\r\n"), {400, 501}, LOGOUT),
    "a compressed chunk": Odd(logout("Transfer-Encoding: gzip, chunked\r\n"), {400, 422, 501}, b"0\r\n\r\n"),
    "a long target": Odd(get(f"/auth/{'a' * 30_000}"), {400, 414, 431}),
    "a long line": Odd(get("/auth/me", f"Host: x\r\nX-Long: {'a' * 30_000}\r\n"), {400, 431}),
    "many lines": Odd(get("/auth/me", "Host: x\r\n" + "X-Many: x\r\n" * 150), {400, 431}),
    "the wrong protocol": Odd("\x16\x03\x01\x02\x00\x01\x00\r\n", {400}),
}


def ask(place: Place, odd: Odd, user: User) -> int:
    head = odd.head.replace("ADA", f"Authorization: {user.headers['Authorization']}")
    with connection(place.port) as opened:
        opened.sendall(f"{head}Connection: close\r\n\r\n".encode("latin-1") + odd.body)
        answer = read_answer(opened, odd.head.partition(" ")[0])
        assert "x-auth-user" not in answer.headers
        return answer.status


def test_a_request_that_is_unusual_is_answered_as_it_should_be_or_refused(place: Place, ada: User) -> None:
    seen = {name: ask(place, odd, ada) for name, odd in TABLE.items()}
    assert {name: status for name, status in seen.items() if status not in TABLE[name].answers} == {}


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "Expect: 100-continue\r\nContent-Length: 0\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        "Upgrade: websocket\r\n",
        "X-HTTP-Method-Override: GET\r\nX-Original-URL: /internal/verify\r\nX-Rewrite-URL: /internal/verify\r\n",
    ],
    ids=["plain", "expecting", "h2c", "websocket", "overriding"],
)
def test_nothing_unusual_reaches_the_inside(place: Place, root: User, lines: str) -> None:
    own = f"ADA\r\nX-Internal-Token: {INTERNAL_TOKEN}\r\n{lines}"
    for first_line in FIRST_LINES:
        for path in INSIDE:
            for end in (" HTTP/1.1\r\nHost: x\r\n", " HTTP/1.0\r\n"):
                status = ask(place, Odd(f"{first_line.format(path)}{end}{own}", set()), root)
                assert status in {400, 404, 405}, (first_line, path, end)


def test_an_application_is_not_offered_the_second_version_of_http(place: Place, ada: User, mark: str) -> None:
    """Whoever gets a 101 for it could then ask for what they like, past the gateway."""
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"}
    assert place.client.get(f"/app/{mark}", headers={**ada.headers, **offer}).status_code == 200
    (got,) = place.heard(mark)
    assert [got.values(name) for name in ("Upgrade", "X-Auth-User")] == [[], [ada.id]]
