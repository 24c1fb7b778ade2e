"""Forged access tokens: every attack on a JWT that has worked against somebody is a 401 here, and never a 500."""

import json
import string
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.client import Client
from tests.support.forge import (
    EXTRA_PARAMETERS,
    MISSING,
    WRONG_ALGORITHMS,
    WRONG_KIDS,
    Forge,
    b64,
    refused,
    sign,
    signed_with_text,
    unsigned,
)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)


@pytest.mark.parametrize("algorithm", WRONG_ALGORITHMS)
async def test_a_token_with_another_algorithm_is_refused(ada: Client, forge: Forge, algorithm: object) -> None:
    content = unsigned({**forge.header, "alg": algorithm}, forge.claims)
    for signature in ("", b64(b"\x00" * 64), b64(sign(content, forge.key))):
        await refused(ada, f"{content}.{signature}")


async def test_a_token_with_alg_hs256_keyed_with_the_public_key_is_refused(ada: Client, forge: Forge) -> None:
    public = forge.key.public_key()
    (jwk,) = (await ada.get("/.well-known/jwks.json")).json()["keys"]
    texts = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        json.dumps(jwk).encode(),
        jwk["x"].encode(),
        jwk["kid"].encode(),
        b"",
    ]
    for algorithm in ("HS256", "ES256"):
        content = unsigned({**forge.header, "alg": algorithm}, forge.claims)
        for text in texts:
            await refused(ada, signed_with_text(content, text))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "AT+JWT", "application/at+jwt", "dpop+jwt", "", None, 1, MISSING])
async def test_a_token_of_another_type_is_refused(ada: Client, forge: Forge, typ: object) -> None:
    await refused(ada, forge.signed(header={"typ": typ}))


@pytest.mark.parametrize("kid", [*WRONG_KIDS, MISSING])
async def test_a_token_with_an_unknown_key_id_is_refused(ada: Client, forge: Forge, kid: object) -> None:
    await refused(ada, forge.signed(header={"kid": kid}))


@pytest.mark.parametrize("extra", EXTRA_PARAMETERS, ids=str)
async def test_a_token_with_another_header_parameter_is_refused(
    ada: Client, forge: Forge, extra: dict[str, Any]
) -> None:
    await refused(ada, forge.signed(header=extra))


async def test_a_token_that_brings_its_own_key_is_refused(ada: Client, forge: Forge) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    numbers = own.public_key().public_numbers()
    x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "own", "alg": "ES256"}
    for header in ({"jwk": jwk}, {"jwk": jwk, "kid": "own"}, {"kid": "own"}, {"kid": jwk}, {}):
        await refused(ada, forge.signed(header=header, key=own))


async def test_a_token_with_a_changed_claim_under_the_old_signature_is_refused(
    ada: Client, forge: Forge, token: str
) -> None:
    content = unsigned(forge.header, {**forge.claims, "roles": ["admin"]})
    await refused(ada, f"{content}.{token.rpartition('.')[2]}")


async def test_a_token_with_a_broken_signature_is_refused(ada: Client, forge: Forge, token: str) -> None:
    content = token.rpartition(".")[0]
    raw = sign(content, forge.key)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    flipped = raw[:-1] + bytes([raw[-1] ^ 1])
    halves = [
        b"",
        b"\x00" * 64,
        b"\xff" * 64,
        flipped,
        raw[:-1],
        raw + b"\x00",
        raw[32:] + raw[:32],
        encode_dss_signature(r, s),
    ]
    for signature in halves:
        await refused(ada, f"{content}.{b64(signature)}")


@pytest.mark.parametrize("header", [[], "x", 1, None, {}, [["alg", "ES256"]]], ids=str)
async def test_a_token_whose_header_is_no_fitting_object_is_refused(ada: Client, forge: Forge, header: object) -> None:
    content = unsigned(header, forge.claims)
    await refused(ada, f"{content}.{b64(sign(content, forge.key))}")


@pytest.mark.parametrize("claims", [[], "x", 1, None, {}, [["sub", "x"]]], ids=str)
async def test_a_token_whose_claims_are_no_fitting_object_are_refused(
    ada: Client, forge: Forge, claims: object
) -> None:
    content = unsigned(forge.header, claims)
    await refused(ada, f"{content}.{b64(sign(content, forge.key))}")


async def test_a_token_that_is_no_json_or_nested_too_deeply_is_refused(ada: Client, forge: Forge) -> None:
    header, claims = unsigned(forge.header, forge.claims).split(".")
    for junk in (b"{", b"\xff\xfe", b"[" * 2_000, b'{"a":' * 400 + b"1" + b"}" * 400, b"", b"\x00"):
        for content in (f"{b64(junk)}.{claims}", f"{header}.{b64(junk)}"):
            await refused(ada, f"{content}.{b64(sign(content, forge.key))}")


@pytest.mark.parametrize("form", ["x", "x.y", "..", "a.b.c", "a.b.c.d", "a.b.c.d.e", "....", "~.~.~", "-" * 4_000])
async def test_a_text_that_is_no_token_is_refused(ada: Client, form: str) -> None:
    await refused(ada, form)


async def test_a_token_in_another_form_is_refused(ada: Client, token: str) -> None:
    head, _, signature = token.rpartition(".")
    for form in (f"{head}.", f".{token}", f"{token}.", f"{token}.{signature}", f"{head}.{signature}A", token.upper()):
        await refused(ada, form)


async def test_a_token_has_one_spelling(ada: Client, token: str) -> None:
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    last = alphabet.index(token[-1])
    same_bytes = [token[:-1] + alphabet[last + unused] for unused in range(1, 16)]
    for form in (*same_bytes, f"{token}=", f"{token}==", f"{token}~", f"{token[:-5]}~{token[-5:]}"):
        await refused(ada, form)


async def test_a_token_that_is_not_ascii_is_refused(ada: Client, token: str) -> None:
    for raw in (token.encode() + b"\xe4", "\u212a".encode() + token.encode(), b"\xff" * 100, token.encode() + b"\x85"):
        await refused(ada, raw, "missing-access-token")


async def test_an_oversized_token_is_refused(ada: Client, forge: Forge) -> None:
    await refused(ada, forge.signed(claims={"padding": "x" * 4_000}))
    await refused(ada, forge.signed(header={"kid": "x" * 10_000}))
    await refused(ada, "x" * 15_000)
