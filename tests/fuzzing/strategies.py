"""What nobody would write: JSON, encodings, tokens, and texts for paths, queries and headers."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

DEEP = 2_000
# Each is raw JSON, or what somebody may take for it.
NASTY_JSON = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "0", "1.0", "9223372036854775808",
    "9" * 400, "9" * 5_000, "true", "null", "[]", "{}", '""', '" "', "'x'", "undefined", "",
    r'"\u0000"', r'"a\u0000b@example.com"', r'"\ud800"', r'"a@\udfff.example"', r'"\udc00\ud800"', r'"\uffff"', r'"\x"',
    '"\u0000"', '"\u0007"', '"\u2028\u202e\ufeff"', '"\ufdd0\U0010ffff"', '"\u212aelvin@example.com"',
    '"a@\uff45.example"', '"a@example.com\\r\\nBcc: b@example.com"', '"a@[::1]"', '"a@' + "b." * 150 + 'example"',
    '"@"', '"a@b@c"', '"art_"', '"' + "x" * 1_025 + '"', '"' + "\U0001f9d9" * 1_025 + '"', '"' + "e\u0301" * 200 + '"',
    r'"\u0000 correct horse battery staple"', r'"\udfff correct horse battery staple"',
    "[" * DEEP + "]" * DEEP, "[" * DEEP, '{"":' * DEEP + "1" + "}" * DEEP,
)  # fmt: skip
MEDIA_TYPES = (
    b"application/json; charset=utf-8", b"application/json; charset=utf-7", b"application/json; charset=utf-16",
    b"application/evil+json", b"application/json, text/plain", b"text/plain", b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x", b"", b"application/json;" * 50, b"\xff\xfe", b"application/json; charset=\x00",
)  # fmt: skip
HEADERS = (
    "Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Type", "Cookie", "Expect",
    "Forwarded", "Idempotency-Key", "If-None-Match", "Origin", "Range", "Referer", "Upgrade", "User-Agent",
    "X-Forwarded-For", "X-Forwarded-Host", "X-HTTP-Method-Override", "X-Internal-Token", "X-Request-ID",
)  # fmt: skip
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7")

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
values = st.sampled_from(NASTY_JSON) | anything.map(json.dumps) | st.text(max_size=60).map(json.dumps)
media_types = st.just(b"application/json") | st.just(b"application/json") | st.sampled_from(MEDIA_TYPES)
# Any bytes: also those that end a header, and those that no header may hold.
header_values = st.binary(max_size=80) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
# A path's and a query's characters, escaped and not.
escaped = st.lists(
    st.sampled_from([*"aZ0-_.~!$&'()*+,;=:@", "%00", "%ff", "%ed%a0%80", "%0d%0a", "%", "%2", "%zz", "\x7f"])
)
url_texts = escaped.map("".join) | st.uuids().map(str) | st.integers().map(str) | st.just("1" * 8_000)


def bodies(good: Mapping[str, str]) -> st.SearchStrategy[bytes]:
    """Bodies for a route whose fields, with good values as raw JSON, are these."""
    one_bad = st.tuples(st.sampled_from(sorted(good) or [""]), values).map(lambda bad: {**good, bad[0]: bad[1]}.items())
    names = st.sampled_from([*good, "__proto__"]) | st.text(max_size=12)
    pairs = st.lists(st.tuples(names, values | st.sampled_from(list(good.values()) or ["1"])), max_size=6)
    documents = (one_bad | pairs | pairs.map(lambda more: [*good.items(), *more])).map(_object)
    texts = documents | values | documents.map(lambda text: f"[{text}]")
    encoded = texts.map(_utf8) | st.tuples(texts, st.sampled_from(ENCODINGS)).map(_encode)
    return encoded | damaged(encoded) | st.binary(max_size=200)


def damaged(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """The bytes with some of them overwritten, or a few after them."""
    return st.tuples(whole, st.integers(0), st.binary(max_size=4)).map(_damage)


def _object(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in pairs) + "}"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _encode(text_and_encoding: tuple[str, str]) -> bytes:
    text, encoding = text_and_encoding
    return text.encode(encoding, "replace")


def _damage(parts: tuple[bytes, int, bytes]) -> bytes:
    """The bytes with some of them overwritten."""
    whole, where, other = parts
    at = where % (len(whole) + 1)
    return whole[:at] + other + whole[at + max(1, len(other)) :]


def tokens(token: str) -> st.SearchStrategy[str]:
    """Texts that are like a token and are not it: damaged, cut, spelt otherwise, made huge, and made up."""
    position = st.integers(0, len(token))
    characters = st.sampled_from("AZaz09-_+/=.~ \t\x00\x7f\u00e9\u212a\uff21\ud800\U0001f9d9") | st.characters()
    return (
        st.tuples(position, characters).map(lambda flip: token[: flip[0]] + flip[1] + token[flip[0] + 1 :])
        | st.tuples(position, characters).map(lambda add: token[: add[0]] + add[1] + token[add[0] :])
        | st.tuples(position, position).map(lambda cut: token[min(cut) : max(cut)])
        | st.tuples(st.integers(2, 12), st.sampled_from(["", ".", " ", ", "])).map(
            lambda more: more[1].join([token] * more[0])
        )
        | st.sampled_from(_spellings(token))
        | st.lists(st.one_of(st.sampled_from([*token.split("."), ""]), anything.map(_part)), max_size=5).map(".".join)
        | st.text(max_size=80)
    )


def _spellings(token: str) -> list[str]:
    """The same token in other alphabets."""
    raw = token.encode()
    return [
        token.upper(), token.lower(), token.swapcase(), token[::-1], f"{token}=", f"{token}==", f'"{token}"',
        raw.hex(), base64.b64encode(raw).decode(), base64.b32encode(raw).decode(), base64.b85encode(raw).decode(),
        "".join(f"%{byte:02x}" for byte in raw), "".join(chr(ord(character) + 0xFEE0) for character in token),
        token.replace("-", "+").replace("_", "/"), f"{token}#", f"{token}\x00", f"\ufeff{token}",
    ]  # fmt: skip


def _part(document: Any) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
