"""A value that can never work is refused with the setting, the entry and what is expected, and is not repeated."""

from datetime import timedelta

import pytest

from auth_service.settings import WrongSettingError
from auth_service.settings.reading import settings_from

PASSKEYS = {"AUTH_PASSKEYS__RP_ID": "example.com"}
UUID = "2c127fa4-62c7-7e4f-90e5-472b45eecfdc"
URL, ORIGIN, HEADER, NETWORK = "AUTH_PUBLIC_URL", "AUTH_CORS__ORIGINS", "AUTH_CORS__HEADERS", "AUTH_PROXY__TRUSTED"
LINK, RP_ID, PASSKEY = "AUTH_MAIL__VERIFY_URL", "AUTH_PASSKEYS__RP_ID", "AUTH_PASSKEYS__ORIGINS"

# What is wrong with a URL's host or port, whichever setting it stands in, and what is said of it.
HOSTS = {
    "https://hunter2.example.": "without a '.' at its beginning or end",
    "https://.hunter2.example": "without a '.' at its beginning or end",
    "https://hunter2..example": "without '..'",
    "https://-hunter2.example": "neither begin nor end with '-'",
    "https://hunter2-.example": "neither begin nor end with '-'",
    f"https://{'hunter2' * 10}.example": "of 1 to 63 letters",
    f"https://{'hunter2.' * 40}example": "of 1 to 253 characters",
    "https://%68unter2.example": "letters, digits and '-'",
    "https://hunter2;x.example": "letters, digits and '-'",
    "https://*.hunter2.example": "letters, digits and '-'",
    "https://xn--.example": "letters, digits and '-'",
    "https://xn--hunter2-.example": "neither begin nor end",
    "https://xn--hunter2.example": "Punycode",
    "https://☃.example": "IDNA 2008",
    "https://hunter2℀.example": "IDNA 2008",
    "https://hunter2.42": "four numbers up to 255",
    "https://1.2.3": "four numbers up to 255",
    "https://1.2.3.256": "four numbers up to 255",
    "https://0x7f.1": "four numbers up to 255",
    "https://2130706433": "four numbers up to 255",
    "https://[::1": "brackets",
    "https://[hunter2]": "brackets",
    "https://[::1]x": "a host, and after it a port",
    "https://[fe80::1%25eth0]": "without a zone",
    "https://[fe80::1]": "without a zone",
    "https://[::ffff:192.0.2.1]": "IPv4 as such",
    "https://": "of 1 to 253 characters",
    "https://:8000": "of 1 to 253 characters",
    "https://hunter2.example:": "a port from 1 to 65535",
    "https://hunter2.example:0": "a port from 1 to 65535",
    "https://hunter2.example:0443": "a port from 1 to 65535",
    "https://hunter2.example:65536": "a port from 1 to 65535",
    "https://hunter2.example:https": "a port from 1 to 65535",
    "https://hunter2.example:80:90": "a port from 1 to 65535",
    "https://ada@hunter2.example": "without credentials",
    "https://hunter2.example\\x": "without backslashes",
    "https://hunter 2.example": "without spaces",
    "https://hunter2.example/\u00a0x": "without spaces",
    "https://hunter2.example/#": "without '#'",
}  # fmt: skip
BESIDES = {
    URL: {
        "hunter2.example": "must begin with https:// or http://",
        "//hunter2.example": "must begin with https:// or http://",
        "https:/hunter2.example": "must begin with https:// or http://",
        "ftp://hunter2.example": "must begin with https:// or http://",
        '"https://hunter2.example"': "the quotes around the value are taken as a part of it",
        "http://0.0.0.0:8000": "to listen on",
        "http://[::]:8000": "to listen on",
        "https://hunter2.example?": "without '?'",
        **dict.fromkeys([f"https://a.example/{path}" for path in (
            "hunter2/../b", "..", "./hunter2", "hunter2/.", "hunter2//b", "/", "hunter2/%2e%2e/b", "%2e", "%zz",
            "%2F", "a%20b",
            "hunter2;x", "'hunter2'", "<hunter2>", "{hunter2}", "ä", "hunter2|", "%C3%A4", "hunter2,x",
        )], "single slashes"),
    },
    LINK: {
        "http://0.0.0.0/verify": "to listen on",
        **dict.fromkeys([f"https://a.example/{rest}" for rest in (
            "%zz", "a%2", "<hunter2>", "ä", "?hunter2=ä", "a|b", '"hunter2"', "{hunter2}", "?a[]=1",
        )], "percent-encoded"),
    },
    ORIGIN: {
        **dict.fromkeys([
            "null", "NULL", "file://", "file:///hunter2", "javascript://hunter2", "data://hunter2", "data:,hunter2",
            "blob://hunter2",
            "about://hunter2", "about:blank", "view-source://hunter2", "mailto://hunter2", "mailto:a@hunter2",
            "urn://hunter2",
            "ws://hunter2.example", "wss://hunter2.example", "ftp://hunter2.example", "content://hunter2",
            "intent://hunter2",
            "filesystem://hunter2", "chrome://hunter2", "resource://hunter2", "vbscript://hunter2", "tel://hunter2",
        ], "must be the origin of pages of yours"),
        **dict.fromkeys([
            "chrome-extension://ABC", "chrome-extension://abc", f"chrome-extension://{'z' * 32}",
            f"chrome-extension://{'A' * 32}",
            f"chrome-extension://{'a' * 32}/", f"chrome-extension://{'a' * 33}", f"moz-extension://{UUID.upper()}",
            "moz-extension://hunter2", f"safari-web-extension://{UUID.upper()}",
        ], "the whole id of the extension in lower case"),
        **dict.fromkeys([
            "*", "hunter2", "capacitor://HUNTER2", "Capacitor://hunter2", "capacitor://", "capacitor://hunter2/",
            "app://*",
            "capacitor://hunter2:0", "capacitor://hunter2:99999", "capacitor://hunter2:", "app:hunter2",
        ], "must be an origin exactly as browsers send it"),
        **dict.fromkeys([
            "https://hunter2.example/", "https://hunter2.example/app", "https://hunter2.example:443",
            "http://hunter2.example:80",
            "https://Hunter2.example", "HTTPS://hunter2.example", "https://[0:0:0:0:0:0:0:1]",
            "https://hunter2.example?x",
        ], "must be an origin as browsers send it"),
        "https://hunter2..example": "without '..'",
    },
    HEADER: {
        **dict.fromkeys(["*", "hunter2:", "hunter 2", "hünter2", "(hunter2)"], "must be the name of a header"),
        **dict.fromkeys([  # Fetch, section 2.2.2
            "Accept-Charset", "Accept-Encoding", "Access-Control-Request-Headers", "Access-Control-Request-Method",
            "Access-Control-Request-Private-Network", "Connection", "Content-Length", "Cookie", "Cookie2", "Date",
            "DNT", "Expect",
            "Host", "Keep-Alive", "Origin", "Referer", "Set-Cookie", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
            "Via",
            "Proxy-", "Proxy-Authorization", "Sec-", "sec-fetch-site", "SEC-HUNTER2",
        ], "must be a header that pages can set"),
    },
    NETWORK: {
        **dict.fromkeys([
            "*", "localhost", "hunter2", "10.0.0.0/8 hunter2", "10.0.0.0/33", "10.0.0.1:80", "10.0.0.1-10.0.0.9",
            "010.0.0.1", "unix:",
            "10.0.0.0/8;fd00::/8",
        ], "must be a network"),
        **dict.fromkeys(["10.0.0.1/8", "fd00::1/8", "192.168.1.7/24", "172.16.0.0/8"],
        "must begin with the first address"),
        **dict.fromkeys(["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "2000::/3", "224.0.0.0/4"],
        "must not be wider than"),
        **dict.fromkeys(["fe80::1%eth0", "fe80::%1/64"], "without a zone"),
        **dict.fromkeys(["0.0.0.0", "::", "224.0.0.1", "ff02::1"], "that proxies call from"),  # noqa: S104
        **dict.fromkeys(["::ffff:10.0.0.0/104", "::ffff:192.0.2.1", "::/64"], "a network of IPv4 as such"),
    },
    PASSKEY: {
        **dict.fromkeys(["http://hunter2.example", "http://127.0.0.1:8000"], "must be an origin with https"),
        **dict.fromkeys(["https://hunter2.example/", "https://hunter2.example:443", "https://HUNTER2.example"],
        "as browsers send it"),
        **dict.fromkeys(["android:apk-key-hash:", "android:apk-key-hash:hunter2", "android:hunter2"],
        "the hash of the app's certif"),
        **dict.fromkeys(["null", "*", "hunter2", "capacitor://hunter2"], "must begin with https:// or http://"),
    },
}  # fmt: skip
LISTS = (ORIGIN, HEADER, NETWORK, PASSKEY, "AUTH_PASSKEYS__TOP_ORIGINS", "AUTH_FACTORS__REQUIRED_ROLES",
         "AUTH_PASSKEYS__REQUIRED_ROLES", "AUTH_SECRET_KEY", "AUTH_INTERNAL_TOKEN")  # fmt: skip

# Name, value, what else is set, and what is said of it.
OTHERS: list[tuple[str, str, dict[str, str], str]] = [
    *((RP_ID, domain, {}, "must be a domain in lower case") for domain in (
        "com", "hunter2", "192.0.2.1", "::1", "[::1]", "https://hunter2.example", "hunter2.example:443",
        "hunter2.example/",
        "hunter2.example.", "Hunter2.example", "hunter2..example", ".hunter2.example", "a_hunter2.example",
        "*.hunter2.example",
    )),
    (RP_ID, "-hunter2.example", {}, "neither begin nor end with '-'"),
    (RP_ID, "xn--hunter2.example", {}, "Punycode"),
    (RP_ID, "hunter2.example", {URL: "http://hunter2.example"}, "needs an AUTH_PUBLIC_URL with https"),
    *(("AUTH_MAIL__HOST", host, {"AUTH_MAIL__SENDER": "a@example.com"}, said) for host, said in {
        "hunter2:587": "the port is AUTH_MAIL__PORT", "dead:25": "the port is AUTH_MAIL__PORT",
        "smtp://hunter2": "the port is",
        "[::1]": "the port is AUTH_MAIL__PORT", "hunter2..example": "without '..'", "-": "neither begin nor end",
        "999.1.1.1": "four numbers", ":::": "IPv6", "fe80::1%eth0": "zone", "0.0.0.0": "listen", "::": "listen",  # noqa: S104
        "hunter 2": "letters",
    }.items()),
    *(("AUTH_MAIL__SENDER", sender, {}, "must be one address") for sender in (
        "hunter2", "<>", "@hunter2.example", "a@[192.0.2.1]", "a@hunter2.example,b@hunter2.example",
        "a@hunter2.example.",
    )),
    *(("AUTH_MAIL__SENDER", sender, {}, "must have an address in ASCII") for sender in (
        "é@hunter2.example", "a@hünter2.example", f"{'a' * 65}@hunter2.example", f"a@{'hunter2.' * 40}example",
    )),
    ("AUTH_MAIL__SENDER", "a@-hunter2", {}, "neither begin nor end"),
    ("AUTH_MAIL__CA_FILE", "/etc/passwd", {}, "must be a file of certificates"),
    *((name, path, {}, "must be a readable file") for path in ("/etc", "/dev/zero", "/nowhere/hunter2") for name in (
        "AUTH_MAIL__CA_FILE", "AUTH_APPLICATION__LOGO", "AUTH_PASSWORD__BLOCKLIST",
    )),
    *((name, value, {}, "visible ASCII characters") for name in ("AUTH_TOKENS__ISSUER", "AUTH_TOKENS__AUDIENCE")
      for value in (" ", "hunter2 a", "hünter2", "\thunter2", ":hunter2", "1:hunter2")),
    *(("AUTH_TOKENS__REFRESH_IDLE_LIFETIME", idle, {"AUTH_TOKENS__ACCESS_LIFETIME": access}, "must be longer than")
      for idle, access in (("299", "300"), ("300", "300"), ("PT5M", "300"), ("60", "60"), ("1", "2"))),
    *(("AUTH_MAIL__PORT", port, {"AUTH_MAIL__SECURITY": security}, f"=tls with AUTH_MAIL__PORT={port}")
      for port, security in (("465", "starttls"), ("465", "none"))),
    *(("AUTH_MAIL__PORT", port, {"AUTH_MAIL__SECURITY": "tls"}, f"=starttls with AUTH_MAIL__PORT={port}")
      for port in ("587", "25")),
    ("AUTH_TOKENS__ISSUER", "hunter2" * 40, {}, "at most 255 characters"),
    ("AUTH_PASSWORD__ARGON2_PARALLELISM", "64", {"AUTH_PASSWORD__ARGON2_MEMORY_KIB": "511"}, "of at least 512"),
    *((name, "0.01", {}, "must be at least 0.1 seconds") for name in (
        "DB_STATEMENT_TIMEOUT", "DB_CONNECT_TIMEOUT", "AUTH_HASHING__DEADLINE", "AUTH_MAIL__TIMEOUT",
        "AUTH_MAIL__INTERVAL",
        "AUTH_REVOCATIONS__POLL_INTERVAL",
    )),
    *((name, "P9999999D", {}, "must be at most 3650 days") for name in (
        "AUTH_KEYS__ROTATION_INTERVAL", "AUTH_REGISTRATION__UNVERIFIED_LIFETIME", "DB_POOL_RECYCLE",
    )),
    *((name, number, {}, said) for number in ("99999999999999", "1e400", "inf", "9" * 40) for name, said in {
        "AUTH_CLEANUP__INTERVAL": "must be at most 30 days", "AUTH_CLEANUP__TARGET": "must be at most 10 seconds",
        "AUTH_AUDIT__RETENTION": "must be at most 3650 days", "AUTH_MAIL__TIMEOUT": "must be at most 2 minutes",
        "AUTH_TOKENS__REFRESH_IDLE_LIFETIME": "must not exceed AUTH_TOKENS__REFRESH_ABSOLUTE_LIFETIME",
        "DB_POOL_TIMEOUT": "must be at most 2 seconds",
    }.items()),
    *((name, "-99999999999999", {}, said) for name, said in {
        "AUTH_CLEANUP__INTERVAL": "must be at least 0 seconds", "DB_POOL_TIMEOUT": "must be more than 0 seconds",
    }.items()),
    *((name, "nan", {}, "must be a number of seconds") for name in ("AUTH_CLEANUP__INTERVAL", "DB_POOL_TIMEOUT")),
    *(("AUTH_CLEANUP__TARGET", value, {}, "must be at least 0.001 seconds") for value in ("0", "0.0009", "PT0S", "-1")),
    ("AUTH_CLEANUP__MIN_RATE", "101", {"AUTH_CLEANUP__RATE": "100"}, "at most AUTH_CLEANUP__RATE"),
    ("AUTH_CLEANUP__MIN_RATE", "10001", {}, "at most AUTH_CLEANUP__RATE"),
    ("AUTH_CLEANUP__INTERVAL", "0.5", {}, "must be 0 (off) or at least one second"),
    *((name, "hunter2", {}, said) for name, said in {
        "AUTH_LOG__LEVEL": "must be debug, info, warning or error", "AUTH_LOG__FORMAT": "must be json or console",
        "AUTH_MAIL__SECURITY": "must be starttls, tls or none",
        "AUTH_REGISTRATION__EXISTING": "must be reveal or conceal",
        "AUTH_THROTTLE__ENABLED": "must be true or false", "AUTH_MAIL__PORT": "must be a whole number",
        "AUTH_FACTORS__REQUIRED_ROLES": "entry 1 must be a role: user or admin",
        "AUTH_TOKENS__LEEWAY": "must be a number of seconds, or a duration",
    }.items()),
]  # fmt: skip


EACH: list[tuple[str, str, dict[str, str], str]] = [
    *((name, url, {}, said) for name in (URL, LINK) for url, said in HOSTS.items()),
    *((PASSKEY, url, PASSKEYS, said) for url, said in HOSTS.items()),
    *((ORIGIN, url, {}, said) for url, said in HOSTS.items() if not url.endswith(".")),  # pages can have that one
    *((name, value, PASSKEYS if name == PASSKEY else {}, said) for name, values in BESIDES.items() for value,
    said in values.items()),
    *((name, commas, {}, "must have an entry") for name in LISTS for commas in (",", " , ", " ")),
    *OTHERS,
]  # fmt: skip


def refusal(name: str, value: str, env: dict[str, str]) -> str:
    with pytest.raises(WrongSettingError) as refused:
        settings_from({**env, name: value})
    said = str(refused.value)
    assert "hunter2" not in said.lower()
    return said


@pytest.mark.parametrize(("name", "value", "env", "told"), EACH, ids=[f"{each[0]}-{n}" for n, each in enumerate(EACH)])
def test_a_value_that_can_never_work_is_refused_with_what_is_expected(
    name: str, value: str, env: dict[str, str], told: str
) -> None:
    said = refusal(name, value, env)
    assert said.startswith((f"{name}: ", f"{name.partition('__')[0]}: "))
    assert told in said


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        (ORIGIN, "https://a.example, hunter2 ,capacitor://localhost,null", (2, 4)),
        (HEADER, "sentry-trace,Cookie,baggage,hunter 2", (2, 4)),
        (NETWORK, "10.0.0.0/8,,10.0.0.1/8,hunter2", (2, 3)),
        (PASSKEY, "https://example.com,http://example.com", (2,)),
        ("AUTH_PASSKEYS__TOP_ORIGINS", "https://example.com,hunter2", (2,)),
        ("AUTH_FACTORS__REQUIRED_ROLES", "admin,hunter2", (2,)),
    ],
)
def test_every_wrong_entry_of_a_list_is_named_by_its_place(name: str, value: str, wrong: tuple[int, ...]) -> None:
    lines = refusal(name, value, PASSKEYS).split("; AUTH_")
    assert [line.removeprefix("AUTH_").split(" must ")[0] for line in lines] == [
        f"{name.removeprefix('AUTH_')}: entry {place}" for place in wrong
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (URL, "HTTPS://Auth.example.com:443/A/", "https://auth.example.com/A/"),
        (URL, "http://[2001:DB8:0::1]:80", "http://[2001:db8::1]"),
        (URL, "http://auth_1:8000", "http://auth_1:8000"),
        (URL, "https://xn--n3h.net", "https://xn--n3h.net"),  # a domain that IDNA 2003 let be
        (URL, "https://192.0.2.1/v1.0/~a/auth+x@y", "https://192.0.2.1/v1.0/~a/auth+x@y"),
        (URL, "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        (LINK, "HTTPS://a.example/%C3%A4/../b?next=%2F&a=1", "https://a.example/%C3%A4/../b?next=%2F&a=1"),
        (ORIGIN, "https://a.example,,https://a.example.,", ("https://a.example", "https://a.example.")),
        (HEADER, "baggage,x-http-method-override,Security", ("baggage", "x-http-method-override", "Security")),
        ("AUTH_LOG__LEVEL", "INFO", "info"),
        ("AUTH_LOG__LEVEL", " Warning ", "warning"),
        ("AUTH_LOG__FORMAT", "JSON", "json"),
        ("AUTH_MAIL__SECURITY", "TLS", "tls"),
        ("AUTH_REGISTRATION__EXISTING", "Reveal", "reveal"),
        ("AUTH_FACTORS__REQUIRED_ROLES", "Admin,admin", ("admin",)),
        ("AUTH_MAIL__HOST", "2001:db8::1", "2001:db8::1"),
        ("AUTH_MAIL__HOST", "mail_1", "mail_1"),
        ("AUTH_MAIL__PORT", "25", 25),
        ("AUTH_MAIL__PORT", "2525", 2525),
        ("AUTH_TOKENS__REFRESH_IDLE_LIFETIME", "301", timedelta(seconds=301)),
        ("AUTH_TOKENS__ISSUER", "my-issuer", "my-issuer"),
        ("AUTH_TOKENS__AUDIENCE", "urn:example:api", "urn:example:api"),
        ("AUTH_THROTTLE__ENABLED", "OFF", False),
        ("AUTH_CLEANUP__RATE", "50", 50),  # the lowest rate, which nobody has set, follows
        ("AUTH_CLEANUP__MIN_RATE", "10000", 10000),
        (RP_ID, "app.localhost", "app.localhost"),
    ],
)
def test_what_can_work_is_taken_in_any_of_its_spellings(name: str, value: str, expected: object) -> None:
    beside = {"AUTH_MAIL__SENDER": "a@example.com", **({URL: "http://app.localhost:8000"} if name == RP_ID else {})}
    found: object = settings_from({**beside, name: value})
    for part in name.removeprefix("AUTH_").lower().split("__"):
        found = getattr(found, part)
    assert found == expected
