"""The inside stays inside, and a role stays required, however a path is spelled."""

import json

from tests.support.gateway_places import INTERNAL_TOKEN, Place, User
from tests.support.raw_http import Answer, exchange

INSIDE = [
    "/internal/verify", "/internal/verify?role=user", "/internal/revocations", "/internal/introspect", "/internal",
    "/metrics", "/health/live", "/health/ready", "/health/db", "/docs", "/openapi.json", "/admin", "/admin/users",
    "/", "/verify/any", "/verify/admin", "*", "internal/verify",
    "//internal/verify", "///internal/verify", "/./internal/verify", "/%69nternal/verify", "/INTERNAL/verify",
    "/%2finternal/verify", "/%2Finternal/verify", "/;/internal/verify", "/x/../internal/verify",
    "/x/..;/internal/verify", "/auth/../internal/verify", "/auth/..;/internal/verify", "/auth/;/../internal/verify",
    "/auth/..%2finternal/verify", "/auth/%2e%2e/internal/revocations", "/auth/.%2e/internal/verify",
    "/auth/%2e%2e%2finternal%2fverify", "/auth%2f..%2finternal/verify", "/auth/%252e%252e/internal/verify",
    "/auth//../internal/verify", "/auth/./../internal/verify", "/auth/..\\internal\\verify", "\\internal\\verify",
    "/auth/..%5cinternal%5cverify", "/auth\\..\\internal/verify", "/auth/%00/../../internal/verify",
    "/auth/x#/../../internal/verify", "/internal/verify#/auth/x", "/auth/?/../../internal/verify",
    "/.well-known/../internal/verify", "/.well-known/..%2finternal/verify", "/problems/..%2f..%2finternal/verify",
    "/app/../internal/verify", "/app/..%2finternal/verify", "/app/%2e%2e/internal/verify",
    "http://127.0.0.1:8000/internal/verify", "http://auth/internal/verify", "http://auth/auth/../internal/verify",
    "HTTP://auth//internal/verify", "/auth/login/..%c0%afinternal/verify",
    "/internal;x", "/internal;x/verify", "/internal;/verify", "//internal", "/internal/", "/internal/verify/",
    "/internal%2fverify", "/internal%2Fverify", "/auth;/../internal/verify", "/auth/x/%2e%2e/%2e%2e/internal/verify",
    "/auth/%2e%2e;x/internal/verify", "/auth/%2E%2E/internal/verify", "/.%77ell-known/../internal/verify",
    "?/internal/verify", "/internal/verify?/auth/",
]  # fmt: skip
DISGUISED = [
    "/app/x/../admin/{}", "/app/./admin/{}", "/app//admin/{}", "/app/x/..%2fadmin/{}", "/app/%2e/admin/{}",
    "/app/x/%2e%2e/admin/{}", "/app\\admin/{}", "/app/\\admin/{}", "/app/x;/../admin/{}", "/app/;/admin/{}",
    "/app/admin;x=1/{}", "/app/admin%2f{}", "/app/admin%3bx/{}", "/app/%61%64%6d%69%6e/{}", "/app/aDmIn/{}",
    "/x/../app/admin/{}", "//app/admin/{}", "http://x/app/admin/{}", "http://x//app/admin/{}", "/app/admin%00/{}",
    "/app/admin#/{}",
]  # fmt: skip


def ask(place: Place, method: str, target: str, user: User) -> Answer:
    """Send a target as it is, with everything that would open the inside if it got there."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: auth.example.com",
        f"Authorization: Bearer {user.tokens['access_token']}",
        f"X-Internal-Token: {INTERNAL_TOKEN}",
        f"X-Original-URL: {target}",
        "Connection: close",
    ]
    return exchange(place.port, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


def test_no_spelling_of_a_path_reaches_the_inside(place: Place, root: User) -> None:
    for target in INSIDE:
        for method in ("GET", "POST", "HEAD"):
            answer = ask(place, method, target, root)
            assert 400 <= answer.status < 500, (method, target, answer)
            assert answer.status not in {401, 403, 415, 422}, (method, target, answer)  # the guard of the inside
            assert "x-auth-user" not in answer.headers, (method, target)
    assert place.heard("internal") == []


def test_no_spelling_of_a_path_gets_around_a_required_role(place: Place, ada: User, mark: str) -> None:
    for target in DISGUISED:
        answer = ask(place, "GET", target.format(mark), ada)
        assert answer.status in {400, 403, 404}, (target, answer)
    assert place.heard(mark) == []


def test_the_public_paths_are_routed(place: Place, ada: User) -> None:
    assert place.client.get("/auth/me", headers=ada.headers).json()["id"] == ada.id
    assert place.client.get("/.well-known/jwks.json").json()["keys"]
    assert "issuer" in place.client.get("/.well-known/oauth-authorization-server").json()
    assert place.client.get("/problems/invalid-access-token").status_code == 200
    missing = place.client.get("/auth/nothing-here")
    assert (missing.status_code, json.loads(missing.text)["code"]) == (404, "not-found")


def test_a_request_that_could_be_two_is_refused_or_read_as_one(place: Place, ada: User, mark: str) -> None:
    inner = f"GET /app/admin/{mark} HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST /app/{mark}-outer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.tokens['access_token']}\r\n"
    for framing in (
        f"Content-Length: {len(inner) + 5}\r\nTransfer-Encoding: chunked\r\n",
        f"Transfer-Encoding: chunked\r\nContent-Length: {len(inner) + 5}\r\n",
        f"Transfer-Encoding: xchunked\r\nContent-Length: {len(inner) + 5}\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\n",
    ):
        exchange(place.port, f"{head}{framing}Connection: close\r\n\r\n0\r\n\r\n{inner}".encode())
        assert all(not got.target.startswith("/app/admin") for got in place.heard(mark)), framing
