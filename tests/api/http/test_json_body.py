"""Bodies are read strictly: each malformed one is a clear 4xx, in no time, and nothing of it comes back."""

import asyncio
import gzip
import json

import httpx
import pytest

from tests.support.client import Client
from tests.support.json_bodies import BODY_ROUTES, CANARY, JSON
from tests.support.problems import assert_problem, faults

VALID = json.dumps({"email": f"{CANARY}@example.com", "password": CANARY}).encode()

MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "cut off": VALID[:-2],
    "followed by something": VALID + b"x",
    "two documents": VALID + VALID,
    "a trailing comma": b'{"password": "%s",}' % CANARY.encode(),
    "single quotes": b"{'password': '%s'}" % CANARY.encode(),
    "a bare name": b'{password: "%s"}' % CANARY.encode(),
    "a bare word": CANARY.encode(),
    "a comment": b'{"password": "%s" /* why */}' % CANARY.encode(),
    "a control character": b'{"password": "%s\n"}' % CANARY.encode(),
    "a form": b"password=" + CANARY.encode(),
    "a name twice": b'{"password": "%s", "password": "other"}' % CANARY.encode(),
    "a name twice, spelt differently": b'{"password": "%s", "pass\\u0077ord": "other"}' % CANARY.encode(),
    "a name twice, deep inside": b'{"password": [{"a": "%s", "a": 2}]}' % CANARY.encode(),
    "a byte order mark": b"\xef\xbb\xbf" + VALID,
    "UTF-16": VALID.decode().encode("utf-16"),
    "UTF-16 without a mark": VALID.decode().encode("utf-16-be"),
    "UTF-32": VALID.decode().encode("utf-32"),
    "Latin-1": b'{"password": "%s\xe4"}' % CANARY.encode(),
    "overlong UTF-8": b'{"password": "%s\xc0\xaf"}' % CANARY.encode(),
    "a surrogate in UTF-8": b'{"password": "%s\xed\xa0\x80"}' % CANARY.encode(),
    "16,000 open brackets": b"[" * 16_000,
    "8,000 nested arrays": b"[" * 8_000 + b"]" * 8_000,
    "2,500 nested objects": b'{"":' * 2_500 + b"1" + b"}" * 2_500,
    "a number of 5,000 digits": b'{"password": %s}' % (b"9" * 5_000),
}
NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" + "0" * 400 + ".5"]
SHAPES = {
    '{"email": %s}': "email",
    '{"password": %s}': "password",
    '{"refresh_token": %s}': "refresh_token",
    "%s": "body",
    "[%s]": "0",
    '{"x": [{"y": %s}]}': "x.0.y",
    '{"x": [{"\\u0000": %s}]}': "x.0",
}


async def post_everywhere(client: Client, body: bytes, content_type: str = "application/json") -> list[httpx.Response]:
    headers = {"Content-Type": content_type}
    return [await client.post(path, content=body, headers=headers) for path in BODY_ROUTES]


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_body_is_refused_without_an_echo(client: Client, body: bytes) -> None:
    async with asyncio.timeout(3):
        answers = await post_everywhere(client, body)
    for answer in answers:
        assert_problem(answer, 400, "malformed-json")
        assert CANARY not in answer.text


# Where each document ends to be JSON, and what was expected there.
PLACES = {
    b"": "is empty",
    b" \n": "is empty",
    b'{"a": }': "line 1, column 7, a value",
    b'{"a": 1,}': "line 1, column",
    b"{a: 1}": "line 1, column 2, a name in double quotes",
    b'{"a" 1}': "line 1, column 6, a colon",
    b'{"a": 1\n "b": 2}': "line 2, column 2, a comma or a closing bracket",
    b'{"a": "x}': "line 1, column 7, an end of the text that begins",
    b'{"a": "\n"}': "line 1, column 8, the escape of a control character",
    b'{"a": "\\x"}': "line 1, column 8, an escape that JSON has",
    b'{"a": "\\u12"}': "line 1, column 9, four hexadecimal digits",
    b"{} {}": "line 1, column 4, the end of the document",
    b"[1, 2": "line 1, column 6, a comma or a closing bracket",
    b"\xef\xbb\xbf{}": "line 1, column 1, a value",
    b'{"a": "\xff"}': "not UTF-8, at byte 8",
    b'{"a": 1, "a": 2}': "The name a stands twice",
    b'{"\\u0000": 1, "\\u0000": 2}': "A name stands twice",
    b"[" * 16_000: "nested too deeply",
    b"9" * 5_000: "too many digits",
    b'{"a": NaN, "b": }': "line 1, column 17, a value",
}


@pytest.mark.parametrize(("body", "told"), PLACES.items(), ids=[repr(body[:20]) for body in PLACES])
async def test_a_malformed_body_is_told_where_it_goes_wrong_and_what_was_expected(
    client: Client, body: bytes, told: str
) -> None:
    for answer in await post_everywhere(client, body):
        assert_problem(answer, 400, "malformed-json")
        assert told in answer.json()["detail"]


@pytest.mark.parametrize("number", NOT_FINITE)
async def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(client: Client, number: str) -> None:
    for shape, field in SHAPES.items():
        for answer in await post_everywhere(client, (shape % number).encode()):
            assert_problem(answer, 422, "validation-error")
            assert faults(answer) == [(field, "not-finite")]


async def test_a_body_200000_levels_deep_is_refused_for_its_size(client: Client) -> None:
    for body in (b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 200_000 + b"1" + b"}" * 200_000):
        for answer in await post_everywhere(client, body):
            assert_problem(answer, 413, "body-too-large")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/evil+json",
        "application/problem+json",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/json, text/plain",
        "text/plain; application/json",
        "",
        "*/*",
        "application/json charset=utf-8",
        "application/json; charset",
        "application/json; charset=",
        'application/json; charset="utf-8',
        "application/json; charset='utf-8'",
        'application/json; charset="utf\\-16"',
        "application/json; charset=utf-8; charset=latin1",
        "application/json; " * 900,
        "application/json" + "; " * 7_000 + "!",
    ],
)
async def test_json_under_another_type_or_charset_is_refused(client: Client, content_type: str) -> None:
    for answer in await post_everywhere(client, VALID, content_type):
        assert_problem(answer, 415, "unsupported-media-type")
        assert CANARY not in answer.text


async def test_a_body_without_a_content_type_is_refused(client: Client) -> None:
    for path in BODY_ROUTES:
        assert_problem(await client.post(path, content=VALID), 415, "unsupported-media-type")


async def test_two_content_types_are_refused(client: Client) -> None:
    for second in ("text/plain", "application/json"):
        twice = [("Content-Type", "application/json"), ("Content-Type", second)]
        for path in BODY_ROUTES:
            answer = await client.post(path, content=VALID, headers=twice)
            assert_problem(answer, 415, "unsupported-media-type")


# What may follow a media type (RFC 9110, section 5.6.6; RFC 2045, section 5.1).
PARAMETERS = [
    "", ";", ";;", " ; ;", ";charset=UTF-8", "; charset=utf-8;", "; CHARSET=Utf-8 ; ", '; charset="utf-8"',
    '; charset="UTF-8";', r'; charset="\u\t\f-8"', "; charset = utf-8", ";\tcharset=utf-8", "; charset=utf8",
    "; version=1", '; profile="a;charset=latin1"; charset=utf-8', '; profile="say \\"utf-16\\""',
    "; charset=utf-8; charset=UTF-8", "; x-charset=latin1",
]  # fmt: skip


@pytest.mark.parametrize("parameters", PARAMETERS)
async def test_every_spelling_of_a_media_type_in_utf_8_is_taken(client: Client, parameters: str) -> None:
    body = json.dumps({"refresh_token": "art_unknown"}).encode()
    for spelt in ("application/json", "Application/JSON"):
        answer = await client.post("/auth/logout", content=body, headers={"Content-Type": spelt + parameters})
        assert answer.status_code == 204
    form = {"Content-Type": "application/X-www-form-urlencoded" + parameters}
    for path in ("/auth/revoke", "/internal/introspect"):
        assert (await client.post(path, content=b"token=unknown", headers=form)).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("{}; charset=iso-8859-1", "The charset of the body must be UTF-8."),
        ('{}; charset="us-ascii"', "The charset of the body must be UTF-8."),
        ("{}; charset", "The header Content-Type cannot be read; it must be {}."),
        ("text/plain", "The body must be {}."),
        (None, "Send exactly one header Content-Type: {}."),
    ],
)
async def test_the_reason_of_a_415_is_true(client: Client, content_type: str | None, reason: str) -> None:
    for path, expected in (
        ("/auth/login", "application/json"),
        ("/auth/revoke", "application/x-www-form-urlencoded"),
        ("/internal/introspect", "application/x-www-form-urlencoded"),
    ):
        headers = {"Content-Type": content_type.format(expected)} if content_type else {}
        answer = await client.post(path, content=b"token=x", headers=headers)
        assert_problem(answer, 415, "unsupported-media-type")
        assert answer.json()["detail"] == reason.format(expected)


@pytest.mark.parametrize("body", [VALID, gzip.compress(VALID), b"\x1f\x8b", b""], ids=["plain", "gzip", "cut", "none"])
@pytest.mark.parametrize("coding", ["gzip", "GZip", "x-gzip", "br", "identity, gzip", "gzip, identity", "unknown", "*"])
async def test_a_content_coding_is_a_415_whatever_the_bytes_are(client: Client, coding: str, body: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in (*BODY_ROUTES, "/auth/revoke", "/internal/introspect"):
        headers = form if path in {"/auth/revoke", "/internal/introspect"} else JSON
        answer = await client.post(path, content=body, headers={**headers, "Content-Encoding": coding})
        assert_problem(answer, 415, "unsupported-media-type")
        assert answer.headers["accept-encoding"] == "identity"
        assert "Content-Encoding" in answer.json()["detail"]


@pytest.mark.parametrize("coding", ["identity", "Identity", "", " , identity,", "identity, identity"])
async def test_the_coding_that_is_none_is_taken(client: Client, coding: str) -> None:
    body = json.dumps({"refresh_token": "art_unknown"}).encode()
    answer = await client.post("/auth/logout", content=body, headers={**JSON, "Content-Encoding": coding})
    assert answer.status_code == 204
