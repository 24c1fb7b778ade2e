"""What a client must not be able to say through a gateway: who it is, and where it comes from."""

import re
from contextlib import ExitStack

import pytest

from tests.support.client import PASSWORD
from tests.support.echo_upstream import EchoUpstream
from tests.support.gateway_places import CLIENT_ADDRESS, INTERNAL_TOKEN, Fleet, Place, User
from tests.support.gateways import Kind, forgetful
from tests.support.markdown import text
from tests.support.raw_http import exchange

EVIL = "6.6.6.6"
IDENTITY = [
    "X-Auth-User", "x-auth-user", "X_Auth_User", "X-Auth_User", "X_AUTH-USER", "X-Auth-Session", "X_Auth_Session",
    "X-Auth-Role", "X_Auth_Role", "X-Auth-Acr", "X_Auth_Acr", "X-Auth-Amr", "X-Auth_Amr", "X-Auth-Time", "x_auth-time",
    "X-Auth.Time", "X-Auth-Cookie", "X-Auth-Email", "X-Auth-Request-User", "X-Forwarded-User", "X_Forwarded_User",
    "X-Remote-User", "X_Remote_User", "Remote-User", "Remote_User", "X-Internal-Token", "X_Internal_Token",
    "X-Original-URL", "X-Rewrite-URL", *(f"X{sign}Auth{sign}User" for sign in ".~!#$%&'*+^`|"),
    "X.Auth-Role", "X-Auth.User", "X.Forwarded.User", "Remote.User",
]  # fmt: skip
ADDRESSES = [
    "X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Forwarded_For", "Forwarded", "X-Real-IP",
    "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
]  # fmt: skip
OF_OTHERS = [  # what applications may believe of other gateways: who it is, its address, the URL, the certificate
    "Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name", "Remote-Addr", "Remote_Groups", "Remote.Email",
    "X-Remote-User", "X-Remote-Group", "X-Remote-Extra-Scopes", "X-Forwarded-User", "X-Forwarded-Email",
    "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Auth",
    "X-Auth-Request-Email", "X-Authenticated-User", "X-Authenticated-Userid", "X-Authentik-Username", "X-WEBAUTH-USER",
    "X-WebAuth-Groups", "X-Vouch-User", "X-Pomerium-Jwt-Assertion", "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data",
    "X-Goog-IAP-JWT-Assertion", "X-Goog-Authenticated-User-Email", "X-MS-Client-Principal",
    "X-MS-CLIENT-PRINCIPAL-NAME", "Cf-Access-Jwt-Assertion", "Cf-Access-Authenticated-User-Email",
    "Tailscale-User-Login", "X-Consumer-Username", "X-Credential-Identifier", "OIDC-Claim-Email", "OIDC_CLAIM_email",
    "X-User", "X-User-Id", "X-User-Name", "X-User-Email", "X-User-Role", "X-User-Roles", "X-User-Groups", "X-UserInfo",
    "X-Username", "X-Email", "CF-Connecting-IP", "CF-Connecting-IPv6", "True-Client-IP", "X-Real-IP", "X-Client-IP",
    "Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP", "Fly-Client-IP", "Proxy-Client-IP", "WL-Proxy-Client-IP",
    "X-Envoy-External-Address", "X-Azure-ClientIP", "X_Real_IP", "X-Forwarded", "Forwarded-For", "Forwarded",
    "X-Forwarded-Prefix", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Port", "X-Forwarded-Scheme",
    "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Original-URL", "X-Original-URI", "X-Original-Host",
    "X-Original-For", "X-Rewrite-URL", "X-HTTP-Host-Override", "X-Host", "X-Scheme", "X-URL-Scheme", "X-Script-Name",
    "Front-End-Https", "X-ARR-SSL", "Proxy", "X-SSL-Client-Verify", "X-SSL-Client-S-DN", "SSL-Client-Cert",
    "Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-DN", "X-Client-Verify", "X-Forwarded-Client-Cert",
    "SSL_CLIENT_S_DN",
]  # fmt: skip
OF_CLIENTS = [  # what they send in good faith
    "X-Requested-With", "X-CSRF-Token", "X-Request-ID", "X-User-Agent", "X-Client-Info", "X-Client-Version",
    "X-API-Key", "X-HTTP-Method-Override", "Sec-Fetch-User", "Idempotency-Key", "Traceparent", "If-Match", "Range",
    "X-Remaining",
]  # fmt: skip


def assert_no_forged_identity_arrives(place: Place, ada: User, mark: str) -> None:
    for number, name in enumerate(IDENTITY):
        target = f"/app/{mark}-{number}-"
        answer = place.client.get(target, headers={**ada.headers, name: EVIL})
        if answer.status_code != 400:  # to refuse such a request is as good
            (got,) = place.heard(target)
            assert EVIL not in {value for _, value in got.headers}, name
            assert got.values("X-Auth-User") == [ada.id], name
            assert got.values("X-Auth-Role") == ["user"], name
            assert got.values("X-Auth-Acr") == ["aal1"], name
            assert got.values("X-Auth-Amr") == ["pwd"], name
            (time,) = got.values("X-Auth-Time")
            assert int(time) > 0, name


def test_no_forged_identity_header_arrives_in_any_spelling(place: Place, ada: User, mark: str) -> None:
    assert_no_forged_identity_arrives(place, ada, mark)


def test_the_suite_notices_a_gateway_that_forgets_to_strip_identity_headers(
    kind: Kind, fleet: Fleet, ada: User, mark: str
) -> None:
    with ExitStack() as stack:
        place = fleet.start(kind, stack, edit=forgetful(kind))
        with pytest.raises(AssertionError):
            assert_no_forged_identity_arrives(place, ada, mark)
        assert place.client.get(f"/app/{mark}-red", headers={**ada.headers, "X-Auth-User": EVIL}).status_code == 200
        (got,) = place.heard(f"{mark}-red")
        assert EVIL in got.values("X-Auth-User")


def test_nothing_that_applications_may_believe_of_other_gateways_arrives(place: Place, ada: User, mark: str) -> None:
    if not place.kind.is_strict:
        pytest.skip(f"{place.kind.name} removes what it can name, as docs/gateways.md says")
    for start in range(0, len(OF_OTHERS), 20):  # few at a time, as the number of headers is limited
        names = OF_OTHERS[start : start + 20]
        target = f"/app/{mark}-{start}-"
        assert place.client.get(target, headers={**dict.fromkeys(names, EVIL), **ada.headers}).status_code == 200
        (got,) = place.heard(target)
        assert [name for name, value in got.headers if EVIL in value] == []


def test_the_page_lists_what_does_not_arrive() -> None:
    _, _, section = text("docs/gateways.md").partition("\n### Headers that do not get through\n")
    rows = [line for line in section.partition("\n### ")[0].splitlines() if line.startswith("| ") and "`" in line]
    patterns = [
        re.compile(name.replace("*", ".*"), re.IGNORECASE) for row in rows for name in re.findall("`(.+?)`", row)
    ]
    names = [name for name in (*OF_OTHERS, *IDENTITY) if re.fullmatch(r"[\w-]+", name) and "_" not in name]
    assert [name for name in names if not any(pattern.fullmatch(name) for pattern in patterns)] == []
    assert [pattern.pattern for pattern in patterns if not any(pattern.fullmatch(name) for name in names)] == []
    assert not any(pattern.fullmatch(name) for pattern in patterns for name in OF_CLIENTS)


def test_what_clients_say_in_good_faith_arrives(place: Place, ada: User, mark: str) -> None:
    said = dict.fromkeys(OF_CLIENTS, "good")
    assert place.client.get(f"/app/{mark}", headers={**said, **ada.headers}).status_code == 200
    (got,) = place.heard(mark)
    assert [name for name in OF_CLIENTS if got.values(name) != ["good"]] == []


def test_identity_headers_alone_let_nobody_in(place: Place, mark: str) -> None:
    answer = place.client.get(f"/app/{mark}", headers=dict.fromkeys(IDENTITY, "root"))
    assert answer.status_code in {400, 401}
    assert place.heard(mark) == []


@pytest.mark.parametrize("line", [b"X-Auth-User : root", b" X-Auth-User: root", b"X-Auth-User\t: root"])
def test_a_header_with_a_blank_in_its_name_is_refused_or_dropped(
    place: Place, ada: User, mark: str, line: bytes
) -> None:
    token = ada.tokens["access_token"].encode()
    request = b"GET /app/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\nConnection: close\r\n\r\n"
    answer = exchange(place.port, request % (mark.encode(), token, line))
    assert answer.status in {200, 400, 401}
    for got in place.heard(mark):
        assert got.values("X-Auth-User") == [ada.id]
        assert "root" not in str(got.headers)


def test_a_forged_identity_behind_a_body_does_not_arrive(place: Place, ada: User, mark: str) -> None:
    head = f"POST /app/{mark} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.tokens['access_token']}\r\n"
    if not place.kind.drops_trailers:
        pytest.skip(f"{place.kind.name} passes trailers on, as docs/gateways.md says")
    trailers = "Transfer-Encoding: chunked\r\nTrailer: X-Auth-User\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n"
    exchange(place.port, f"{head}{trailers}X-Auth-User: {EVIL}\r\nX_Auth_User: {EVIL}\r\n\r\n".encode())
    for got in place.heard(mark):
        assert got.values("X-Auth-User") == [ada.id]


@pytest.mark.parametrize("name", ["X-Auth-User", "X-Auth-Role", "X-Auth-Acr", "X-Auth-Time", "X-Forwarded-For"])
def test_a_connection_header_cannot_take_away_what_the_gateway_says(
    place: Place, ada: User, mark: str, name: str
) -> None:
    answer = place.client.get(f"/app/{mark}", headers={**ada.headers, "Connection": f"keep-alive, {name}"})
    assert answer.status_code == 200
    (got,) = place.heard(mark)
    assert got.values("X-Auth-User") == [ada.id]
    assert got.values("X-Auth-Role") == ["user"]
    assert got.values("X-Auth-Acr") == ["aal1"]
    assert got.values("X-Auth-Time") != []
    assert got.values("X-Forwarded-For") == [CLIENT_ADDRESS]
    assert name.lower() not in ",".join(got.values("Connection")).lower()


def test_forged_addresses_do_not_reach_the_application(place: Place, ada: User, mark: str) -> None:
    for number, name in enumerate(ADDRESSES):
        target = f"/app/{mark}-{number}-"
        assert place.client.get(target, headers={**ada.headers, name: EVIL}).status_code in {200, 400}
        for got in place.heard(target):
            assert EVIL not in str(got.headers), name
            assert got.values("X-Forwarded-For") == [CLIENT_ADDRESS]
            assert got.values("X-Forwarded-Proto") == ["http"]


@pytest.mark.parametrize("asks", [{}, {"X-Auth-Cookie": "1"}, {"x-auth-cookie": "1"}], ids=["no", "yes", "small"])
def test_of_all_that_begins_with_x_auth_the_service_hears_what_asks_for_a_cookie_and_nothing_else(
    kind: Kind, fleet: Fleet, upstream: EchoUpstream, asks: dict[str, str], mark: str
) -> None:
    with ExitStack() as stack:
        place = fleet.start(kind, stack, auth_port=upstream.port)
        for path in ("auth/login", "auth/me", ".well-known/jwks.json", "problems/x"):
            for number, name in enumerate(name for name in IDENTITY if name.upper() != "X-AUTH-COOKIE"):
                target = f"/{path}?{mark}-{number}-"
                answer = place.client.post(target, headers={**asks, name: EVIL})
                if answer.status_code != 400:
                    (got,) = place.heard(target)
                    expected = list(asks.values()) if path.startswith("auth/") else []
                    if kind.is_strict:  # the others leave to the service what they cannot name, and it believes none
                        assert EVIL not in str(got.headers), name
                        assert got.values("X-Auth-Cookie") == expected, (path, name)


@pytest.mark.parametrize("name", ["X_Auth_Cookie", "X-Auth_Cookie", "X.Auth.Cookie", "X-Auth-Cookies"])
def test_no_other_spelling_asks_for_a_cookie(
    kind: Kind, fleet: Fleet, upstream: EchoUpstream, name: str, mark: str
) -> None:
    with ExitStack() as stack:
        place = fleet.start(kind, stack, auth_port=upstream.port)
        place.client.post(f"/auth/{mark}", headers={name: "1"})
        for got in place.heard(mark):
            assert not kind.is_strict or not [given for given, _ in got.headers if "cookie" in given.lower()]


def test_the_list_of_sessions_shows_the_real_address_whatever_is_forged(place: Place, ada: User) -> None:
    for name in (*ADDRESSES, "Connection"):
        body = {"email": "ada@example.com", "password": PASSWORD}
        forged = {name: "X-Forwarded-For" if name == "Connection" else EVIL}
        login = place.client.post("/auth/login", json=body, headers=forged)
        if login.status_code != 400:
            bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
            sessions = place.client.get("/auth/sessions", headers=bearer).json()["items"]
            assert [item["ip"] for item in sessions if item["current"]] == [CLIENT_ADDRESS], name


def test_a_gateway_with_a_wrong_internal_token_lets_nobody_in(kind: Kind, fleet: Fleet, ada: User, mark: str) -> None:
    with ExitStack() as stack:
        place = fleet.start(kind, stack, token="not-the-token-of-the-tests")
        for forged in ({}, {"X-Internal-Token": INTERNAL_TOKEN}):
            answer = place.client.get(f"/app/{mark}", headers={**ada.headers, **forged})
            assert answer.status_code in {401, 503}
        assert place.heard(mark) == []
