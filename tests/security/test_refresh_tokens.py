"""The format of refresh tokens: random, of one length and one spelling, and impossible to forge."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth_service.security.keys import SecretKeys, base64url
from auth_service.security.tokens.refresh_tokens import MAX_GENERATION, RefreshTokenCodec, new_secret
from tests.conftest import SECRET, MakeClient
from tests.support.behind import behind_proxy
from tests.support.client import Client

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SECRET_PART, TAG_PART = slice(4, 36), slice(40, 56)
TOKENS = RefreshTokenCodec(SecretKeys([SECRET]))
GENERATIONS = st.integers(0, MAX_GENERATION)
SECRETS = st.binary(min_size=32, max_size=32)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


def unpacked(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.removeprefix("art_") + "=")


def bit_flips(token: str) -> list[str]:
    """The token with each bit of what it encodes flipped in turn."""
    packed = int.from_bytes(unpacked(token), "big")
    return ["art_" + base64url((packed ^ 1 << bit).to_bytes(56, "big")) for bit in range(56 * 8)]


def respelled(token: str) -> list[str]:
    """Other spellings that a lenient decoder reads as the same bytes."""
    last = ALPHABET.index(token[-1])
    slack = [token[:-1] + ALPHABET[last | bits] for bits in (1, 2, 3)]
    return [
        *slack,
        token + "=",
        token + "\n",
        " " + token,
        token[:40] + "\n" + token[40:],
        token[:40] + "." + token[40:],
    ]


def forgeries(token: str) -> list[str]:
    """What an attacker makes of a genuine token without the service's key; also one of a key that is not ours."""
    made_elsewhere = RefreshTokenCodec(SecretKeys(["another secret"])).issue(unpacked(token)[SECRET_PART], 1)
    unknown_key = "art_" + base64url(b"\x00" * 4 + unpacked(token)[4:])
    return [*bit_flips(token), *respelled(token), made_elsewhere, unknown_key, token[4:], "ART_" + token[4:]]


def test_a_thousand_tokens_have_one_length_and_share_no_run_of_eight_random_bytes() -> None:
    tokens = [TOKENS.issue(new_secret(), 0) for _ in range(1000)]
    assert {len(token) for token in tokens} == {79}
    assert all(token.startswith("art_") and set(token[4:]) <= set(ALPHABET) for token in tokens)
    runs = [
        part[start : start + 8]
        for token in tokens
        for part in (unpacked(token)[SECRET_PART], unpacked(token)[TAG_PART])
        for start in range(len(part) - 7)
    ]
    assert len(set(runs)) == len(runs)


@pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
async def test_a_token_says_nothing_about_its_bearer(ada: Client) -> None:
    tokens = await ada.sign_in()
    account = (await ada.me(tokens["access_token"])).json()
    packed = unpacked(tokens["refresh_token"])
    for told in (account["id"], tokens["session_id"]):
        assert bytes.fromhex(told.replace("-", "")) not in packed
        assert told.encode() not in packed
    assert b"ada" not in packed


@unhurried
@given(secret=SECRETS, generation=GENERATIONS)
def test_what_was_issued_is_read_back_and_nothing_else_has_its_spelling(secret: bytes, generation: int) -> None:
    token = TOKENS.issue(secret, generation)
    read = TOKENS.read(token)
    assert read is not None
    assert (read.secret, read.generation) == (secret, generation)
    assert all(TOKENS.read(other) is None for other in respelled(token))


def test_a_token_with_any_bit_of_its_text_flipped_is_not_read() -> None:
    token = TOKENS.issue(new_secret(), 7)
    for place, character in enumerate(token):
        for bit in range(8):
            assert TOKENS.read(token[:place] + chr(ord(character) ^ 1 << bit) + token[place + 1 :]) is None


@unhurried
@given(secret=SECRETS, generation=GENERATIONS, other=GENERATIONS)
def test_a_tag_is_good_for_one_generation_alone(secret: bytes, generation: int, other: int) -> None:
    packed = unpacked(TOKENS.issue(secret, generation))
    moved = "art_" + base64url(packed[:36] + other.to_bytes(4, "big") + packed[40:])
    assert (TOKENS.read(moved) is not None) == (other == generation)


@unhurried
@given(st.one_of(st.text(), st.text(ALPHABET, min_size=75, max_size=75).map("art_".__add__)))
def test_text_that_we_did_not_issue_is_never_read(text: str) -> None:
    assert TOKENS.read(text) is None


def test_the_successor_of_the_last_generation_is_not_read() -> None:
    assert TOKENS.read(TOKENS.issue(new_secret(), MAX_GENERATION + 1)) is None


def test_a_token_of_a_listed_older_secret_is_read_and_new_ones_are_made_with_the_newest() -> None:
    older, both, newer = (RefreshTokenCodec(SecretKeys(listed)) for listed in (["old"], ["new", "old"], ["new"]))
    secret = new_secret()
    assert both.read(older.issue(secret, 3)) == older.read(older.issue(secret, 3))
    assert both.issue(secret, 4) == newer.issue(secret, 4)
    assert older.read(both.issue(secret, 4)) is None
    assert newer.read(older.issue(secret, 3)) is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_forged_and_flipped_tokens_are_refused_without_a_query(
    make_client: MakeClient, database_url: str
) -> None:
    with behind_proxy(database_url) as (proxy, url):
        client = await make_client(url)
        (await client.register("ada@example.com")).raise_for_status()
        token = (await client.rotate((await client.sign_in())["refresh_token"]))["refresh_token"]
        proxy.reset_counters()
        await assert_refused(client, forgeries(token))
        assert (proxy.bytes_up, proxy.bytes_down) == (0, 0)
        proxy.silence()
        await assert_refused(client, forgeries(token)[::50])
        assert (proxy.bytes_up, proxy.bytes_down) == (0, 0)
        assert (await client.refresh(token)).status_code == 503, "the genuine token does ask the database"
        proxy.pass_through()
        assert (await client.refresh(token)).status_code == 200


async def assert_refused(client: Client, tokens: list[str]) -> None:
    for token in tokens:
        assert (await client.refresh(token)).status_code == 401, token
