"""The tokens of links in mails, as they come back: whole, typed, or with what stood around them."""

import hashlib
import secrets

import pytest

from auth_service.security.tokens.link_tokens import code_of_link_token, hash_link_token, new_link_token
from auth_service.security.typed_codes import read_code

TOKEN = new_link_token()
CODE = code_of_link_token(TOKEN)
LINK = f"https://auth.example.com/auth/pages/reset-password#token={TOKEN}"
OLDER = "lnk_pZ0-_lOI1tVbdhH8kQJ3mXyz0123456789abcdefABC"  # of a service before 1.1

WAYS = {
    "the token": TOKEN,
    "the code": CODE,
    "spaces around it": f"  {CODE} ",
    "line breaks around it": f"\r\n{CODE}\n",
    "small letters": CODE.lower(),
    "without hyphens": CODE.replace("-", ""),
    "spaces for hyphens": CODE.replace("-", " "),
    "over two lines": CODE[:12] + "\n" + CODE[12:],
    "with dashes": CODE.replace("-", "\u2013"),
    "O for 0 and l for 1": CODE.replace("0", "O").replace("1", "l"),
    "a sentence before it": f"enter this one there: {CODE}.",
    "the whole link": LINK,
    "the link, with the words after it": f" {LINK}\n\nThe link works once",
    "the link over two lines": LINK[:-9] + "\r\n" + LINK[-9:],
    "the link in angle brackets": f"<{LINK}>",
    "the link, with a full stop": f"{LINK}.",
    "the link in small letters": LINK.lower(),
    "the link in capitals": LINK.upper(),
}


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS.keys())
def test_a_token_is_known_however_it_comes_back(text: str) -> None:
    assert hash_link_token(text) == hashlib.sha256(TOKEN.encode()).digest()


@pytest.mark.parametrize(
    "text", [OLDER, f" {OLDER}\n", f"https://a.example/b#token={OLDER}", f"{OLDER[:-8]}\n{OLDER[-8:]}"]
)
def test_a_link_of_an_older_service_is_good_as_it_is(text: str) -> None:
    assert hash_link_token(text) == hashlib.sha256(OLDER.encode()).digest()


@pytest.mark.parametrize(
    "text",
    [TOKEN[:-1], CODE[:-1], OLDER.lower(), "", "lnk_", CODE[::-1]],
    ids=["a token cut off", "a code cut off", "an older one in small letters", "nothing", "no code", "backwards"],
)
def test_what_is_another_token_has_another_hash(text: str) -> None:
    assert hash_link_token(text) not in {hashlib.sha256(token.encode()).digest() for token in (TOKEN, OLDER)}


def test_a_token_has_136_random_bits_and_no_character_that_a_mail_program_takes_for_punctuation() -> None:
    tokens = {new_link_token() for _ in range(500)}
    assert len(tokens) == 500
    assert all(token.startswith("lnk_") and token[4:].isalnum() and token[4:].isascii() for token in tokens)
    codes = {read_code(token[4:], 17) for token in tokens}
    assert None not in codes
    assert {len(code) * 8 for code in codes if code} == {136}


def test_no_link_of_an_older_service_is_taken_for_a_code() -> None:
    """Some of them begin as one does; each is found by what it was stored as."""
    for _ in range(20_000):
        older = "lnk_" + secrets.token_urlsafe(32)
        assert hash_link_token(older) == hashlib.sha256(older.encode()).digest()
