"""Forged access tokens: what the service refuses, the verifier for services refuses too."""

import asyncio
import base64
import json
import time
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm
from pydantic import ValidationError

from auth_service.settings import Settings
from auth_service.testing.kit import ISSUER, AuthKit
from auth_service.verifier import InvalidToken, Verifier
from tests.support.forge import (
    EXTRA_PARAMETERS,
    MISSING,
    WRONG_ALGORITHMS,
    WRONG_KIDS,
    b64,
    mirrored,
    part,
    sign,
    signed_with_text,
    unsigned,
)
from tests.support.verifiers import SPELLINGS

LEEWAY = 60


class Forger:
    """Somebody with the service's own key, who makes what the service never would."""

    def __init__(self, kit: AuthKit) -> None:
        self.kit = kit
        self.verifier = kit.verifier
        self.good = kit.token()
        self.header, self.claims = part(self.good, 0), part(self.good, 1)
        self.key = kit._key

    def made(self, header: Any = None, claims: Any = None, key: ec.EllipticCurvePrivateKey | None = None) -> str:
        """A token like the good one but for these changes, signed by the service's key or another."""
        content = unsigned(_changed(self.header, header), _changed(self.claims, claims))
        return f"{content}.{b64(sign(content, key or self.key))}"

    async def refused(self, token: str) -> None:
        with pytest.raises(InvalidToken):
            await self.verifier.verify(token)


def _changed(values: dict[str, Any], changes: Any) -> Any:
    if changes is not None and not isinstance(changes, dict):
        return changes
    return {name: value for name, value in {**values, **(changes or {})}.items() if value is not MISSING}


@pytest.fixture
def forger(kit: AuthKit) -> Forger:
    return Forger(kit)


async def test_the_token_that_the_forgeries_begin_with_is_good(forger: Forger) -> None:
    await forger.verifier.verify(forger.good)
    claims = await forger.verifier.verify(forger.made())
    assert str(claims.session_id) == forger.claims["sid"]


@pytest.mark.parametrize("algorithm", WRONG_ALGORITHMS)
async def test_a_token_with_another_algorithm_is_refused(forger: Forger, algorithm: object) -> None:
    content = unsigned({**forger.header, "alg": algorithm}, forger.claims)
    for signature in ("", b64(b"\x00" * 64), b64(sign(content, forger.key))):
        await forger.refused(f"{content}.{signature}")


async def test_a_token_with_alg_hs256_keyed_with_the_public_key_is_refused(forger: Forger) -> None:
    pem = forger.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ("HS256", "ES256"):
        content = unsigned({**forger.header, "alg": algorithm}, forger.claims)
        for text in (pem, pem.strip(), json.dumps(forger.kit.jwks["keys"][0]).encode(), b""):
            await forger.refused(signed_with_text(content, text))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "AT+JWT", "application/at+jwt", "", None, 1, MISSING])
async def test_a_token_of_another_type_is_refused(forger: Forger, typ: object) -> None:
    await forger.refused(forger.made(header={"typ": typ}))


@pytest.mark.parametrize("kid", [*WRONG_KIDS, MISSING])
async def test_a_token_with_an_unknown_key_id_is_refused(forger: Forger, kid: object) -> None:
    await forger.refused(forger.made(header={"kid": kid}))


@pytest.mark.parametrize("extra", EXTRA_PARAMETERS, ids=str)
async def test_a_token_with_another_header_parameter_is_refused(forger: Forger, extra: dict[str, Any]) -> None:
    await forger.refused(forger.made(header=extra))


async def test_a_token_that_brings_its_own_key_is_refused(forger: Forger) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    jwk = {**ECAlgorithm.to_jwk(own.public_key(), as_dict=True), "kid": "own"}
    for header in ({"jwk": jwk}, {"jwk": jwk, "kid": "own"}, {"kid": "own"}, {"kid": jwk}, {}):
        await forger.refused(forger.made(header=header, key=own))


async def test_a_token_with_a_changed_claim_under_the_old_signature_is_refused(forger: Forger) -> None:
    content = unsigned(forger.header, {**forger.claims, "roles": ["admin"]})
    await forger.refused(f"{content}.{forger.good.rpartition('.')[2]}")


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "sid", "iss", "aud", "jti", "client_id"])
@pytest.mark.parametrize("value", [MISSING, None, True, "x", 1.5, [], {}], ids=lambda value: type(value).__name__)
async def test_a_token_without_a_claim_or_with_one_of_another_type_is_refused(
    forger: Forger, claim: str, value: object
) -> None:
    if claim not in {"jti", "client_id"} or value != "x":  # these may be any text
        await forger.refused(forger.made(claims={claim: value}))


@pytest.mark.parametrize("claim", ["roles", "client_id", "jti"])
async def test_a_token_whose_claim_would_add_a_line_to_a_header_is_refused(forger: Forger, claim: str) -> None:
    for text in ("user\r\nX-Auth-User: admin", "user\n", "\ruser", "\x00", "user\x85", "user\u2028"):
        await forger.refused(forger.made(claims={claim: [text] if claim == "roles" else text}))


async def test_a_token_that_lives_longer_than_ten_minutes_is_refused(forger: Forger) -> None:
    issued = forger.claims["iat"]
    await forger.verifier.verify(forger.made(claims={"exp": issued + 600}))
    await forger.refused(forger.made(claims={"exp": issued + 601}))
    await forger.refused(forger.made(claims={"iat": issued - 400, "exp": issued + 300}))


@pytest.mark.parametrize("roles", [None, "admin", {"admin": 1}, [1], [["admin"]]], ids=str)
async def test_a_token_whose_roles_are_no_list_of_words_is_refused(forger: Forger, roles: object) -> None:
    await forger.refused(forger.made(claims={"roles": roles}))


async def test_a_token_for_or_from_somebody_else_is_refused(forger: Forger) -> None:
    other = "https://another.test"
    for claims in ({"aud": other}, {"aud": [other]}, {"iss": other}, {"iss": [forger.kit.issuer]}):
        await forger.refused(forger.made(claims=claims))


async def test_an_issuer_is_known_in_any_spelling_of_its_url_and_no_other_is(forger: Forger) -> None:
    for spelled in SPELLINGS:
        verifier = Verifier(spelled)
        forger.kit.unwire()
        forger.kit.wire(verifier)
        assert Settings(public_url=spelled).issuer == verifier.issuer == SPELLINGS[0]
        await verifier.verify(forger.made(claims={"iss": SPELLINGS[0], "aud": SPELLINGS[0]}))
        for other in (
            "https://xn--bcher-kva.example",
            "http://xn--bcher-kva.example/auth",
            "https://bucher.example/auth",
        ):
            for claims in ({"iss": other, "aud": SPELLINGS[0]}, {"iss": SPELLINGS[0], "aud": other}):
                with pytest.raises(InvalidToken):
                    await verifier.verify(forger.made(claims=claims))


@pytest.mark.parametrize("name", ["urn:example:API", "Our-Issuer", "https://ID.example/", "https://id.example:443"])
async def test_an_issuer_that_the_operator_chose_is_taken_as_it_is(forger: Forger, name: str) -> None:
    verifier = Verifier(name, service=ISSUER)
    forger.kit.unwire()
    forger.kit.wire(verifier)
    await verifier.verify(forger.made(claims={"iss": name, "aud": name}))


# What the service refuses as AUTH_PUBLIC_URL.
NO_URLS = [
    "", "bücher.example", "https:id.example", "https:/id.example", "https://", "https:///",
    "https://:443", "https://user@id.example", "https://u:p@id.example", "https://id.example?x", "https://id.example?",
    "https://id.example/#f", "https://id.example#", "https://b%C3%BCcher.example", "https://id%2eexample",
    "https://id.example:", "https://id.example:0", "https://id.example:65536", "https://id.example:00443",
    "https://id.example:x", "https://id.example:443:443", "https://id.example /a", "https://id.example/a b",
    "https://id.example\nx", "https://id.example\t/", "https://id.example\\a", "https://id.example/%61",
    "https://id.example/a/../b", "https://id.example/./a", "https://id.example/a//b", "https://id.example/ü",
    "https://id.example/a,b", "https://id.example;x", "https://id..example", "https://.id.example",
    "https://-id.example", "https://*.example", "https://<host>", "https://a'b.example", "https://xn--a.example",
    "https://xn--ü.example", "https://a\u200db.example", "https://a..ü", "https://id.example.", "https://id\uff0fa.example",
    f"https://{'a' * 64}.example", f"https://{'a.' * 126}aa", "https://0.0.0.0", "https://[::]", "https://224.0.0.1",
    "https://1.2.3", "https://1.2.3.256", "https://0x7f.1", "https://2130706433", "https://[::1", "https://[::1]x",
    "https://[fe80::1]", "https://[fe80::1%25eth0]", "https://[::ffff:1.2.3.4]", "https://[id.example]",
]  # fmt: skip


@pytest.mark.parametrize("url", NO_URLS)
def test_an_issuer_that_no_service_can_have_is_refused_at_the_start(url: str) -> None:
    for setting in ({"public_url": url}, {"tokens": {"issuer": url}}):
        with pytest.raises(ValidationError):
            Settings(_env_file=None, **setting)
    with pytest.raises(ValueError, match="the issuer must be that of the auth service: it must"):
        Verifier(url, service=ISSUER)


@pytest.mark.parametrize(
    "url",
    ["http://auth:8000", "https://b_c.example/~a.b_c-@:+=", "https://[0:0::1]:8443/a", "https://192.0.2.1", "http://localhost",
     "HTTPS://ID.Example:443/A/", "https://faß.example", "https://id。example", "https://\uff49d.example:8443"],
)  # fmt: skip
def test_an_issuer_is_spelled_by_the_verifier_as_by_the_service(url: str) -> None:
    assert Verifier(url).issuer == Settings(public_url=url, _env_file=None).issuer


@pytest.mark.parametrize("name", ["bücher.example", "https://bü cher.example", "an audience"])
def test_an_audience_that_no_token_names_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(ValueError, match="the audience must be that of the auth service"):
        Verifier(ISSUER, audience=name)


async def test_an_audience_that_the_operator_chose_is_taken_as_it_is(forger: Forger) -> None:
    for name in ("urn:example:API", "api", "https://API.example/?tenant=1", "https://api.example:443/"):
        verifier = Verifier(ISSUER, audience=name)
        forger.kit.unwire()
        forger.kit.wire(verifier)
        await verifier.verify(forger.made(claims={"aud": name}))


@pytest.mark.parametrize(
    "url",
    ["", " ", "auth:8000", "127.0.0.1:8000", "auth", "ftp://auth", "//auth", "http:auth", "http://", "http:///", "http://:8000",
     "http://127.0.0.1 :8000", "http://auth:8000\nx", "http://%41:8000", "http://auth:8000 /", "http://auth:", "http://auth:0",
     "http://auth:80000", "http://auth:8000/?x", "http://auth:8000?", "http://auth:8000/#x", "http://u:p@auth:8000",
     "http://u@auth", "http://auth\\x", "http://a..b", "http://<host>:8000", "http://[::1", "http://${HOST}:8000"],
)  # fmt: skip
def test_a_service_that_cannot_be_asked_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="the URL of the auth service must"):
        Verifier(ISSUER, service=url)


@pytest.mark.parametrize("name", ["auth:8000", "auth", "ftp://auth", "//auth"])
def test_an_issuer_that_is_no_url_needs_a_service_to_ask(name: str) -> None:
    with pytest.raises(ValueError, match="the URL of the auth service must begin with https:// or http://"):
        Verifier(name)


@pytest.mark.parametrize(
    "url",
    ["http://auth.ns.svc.cluster.local.:8000/", "http://my_auth_1:8000//", "http://0.0.0.0:8000", " http://auth\n"],
)
def test_a_service_is_asked_where_only_its_own_network_finds_it(url: str) -> None:
    assert Verifier(ISSUER, service=url).service.url == url.strip().rstrip("/")


@pytest.mark.parametrize("token", ["gehéim" * 4, "geheim\n" * 4, "geheim\0geheim"])
def test_an_internal_token_that_no_header_can_carry_is_refused_at_the_start(token: str) -> None:
    with pytest.raises(ValueError, match="the internal token must be of printable ASCII characters"):
        Verifier(ISSUER, internal_token=token)


async def test_a_token_is_taken_within_the_leeway_and_not_beyond(forger: Forger) -> None:
    now = int(time.time())
    await forger.verifier.verify(forger.made(claims={"iat": now - 300, "exp": now - LEEWAY + 20}))
    await forger.verifier.verify(forger.made(claims={"iat": now + LEEWAY - 20}))
    await forger.refused(forger.made(claims={"iat": now - 300, "exp": now - LEEWAY - 1}))
    await forger.refused(forger.made(claims={"iat": now + LEEWAY + 20}))


async def test_a_remembered_token_is_refused_when_it_has_expired(kit: AuthKit) -> None:
    verifier = Verifier(kit.issuer, leeway=0)
    kit.wire(verifier)
    expires_at = int(time.time()) + 1
    token = kit.token(exp=expires_at)
    while time.time() < expires_at:
        with suppress(InvalidToken):  # on a machine so slow that it has expired by now
            await verifier.verify(token)
        await asyncio.sleep(0.01)
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


@pytest.mark.parametrize("junk", [[], "x", 1, None, {}, [["alg", "ES256"]]], ids=str)
async def test_a_token_whose_header_or_claims_are_no_fitting_object_is_refused(forger: Forger, junk: object) -> None:
    for content in (unsigned(junk, forger.claims), unsigned(forger.header, junk)):
        await forger.refused(f"{content}.{b64(sign(content, forger.key))}")


async def test_a_token_that_is_no_json_or_nested_too_deeply_is_refused(forger: Forger) -> None:
    header, claims = unsigned(forger.header, forger.claims).split(".")
    for junk in (b"{", b"\xff\xfe", b"[" * 2_000, b'{"a":' * 400 + b"1" + b"}" * 400, b"", b"\x00"):
        for content in (f"{b64(junk)}.{claims}", f"{header}.{b64(junk)}"):
            await forger.refused(f"{content}.{b64(sign(content, forger.key))}")


@pytest.mark.parametrize(
    "form", ["", "x", "x.y", "..", "a.b.c", "a.b.c.d", "....", "~.~.~", "-" * 4_000, "\ud800", "ä"]
)
async def test_a_text_that_is_no_token_is_refused(forger: Forger, form: str) -> None:
    await forger.refused(form)


async def test_a_token_has_no_other_spelling_that_is_taken(forger: Forger) -> None:
    head, _, signature = forger.good.rpartition(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(signature[-1])
    sibling = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last + 1]  # the same 64 bytes
    assert base64.urlsafe_b64decode(signature[:-1] + sibling + "==") == base64.urlsafe_b64decode(signature + "==")
    forms = [
        f"{signature}=",
        f"{signature}==",
        f"{signature}A",
        f"{signature}\n",
        f" {signature}",
        signature[:-1] + sibling,
    ]
    for form in [
        *(f"{head}.{form}" for form in forms),
        f"{head}.",
        f".{forger.good}",
        f"{forger.good}.",
        f"{head}!.{signature}",
    ]:
        await forger.refused(form)


async def test_an_oversized_token_is_refused(forger: Forger) -> None:
    await forger.refused(forger.made(claims={"padding": "x" * 4_000}))
    await forger.refused(forger.made(header={"kid": "x" * 10_000}))


async def test_a_logged_out_token_with_its_other_valid_signature_is_refused(forger: Forger) -> None:
    token = forger.kit.revoked()
    await forger.refused(token)
    await forger.refused(mirrored(token))


async def test_a_key_of_another_kind_in_the_key_set_verifies_nothing(kit: AuthKit) -> None:
    (good,) = kit.jwks["keys"]
    secret = {"kty": "oct", "k": b64(b"x" * 32), "kid": "shared", "alg": "HS256", "use": "sig"}
    strange = [None, 1, {}, {**good, "kid": None}, {**good, "kid": "e", "use": "enc"}, {**good, "kid": "x", "x": "AA"}]
    verifier = kit.verifier
    verifier.keys.take({"keys": [*strange, secret, good]})
    assert len(verifier.keys) == 1
    await verifier.verify(kit.token())
    token = jwt.encode(part(kit.token(), 1), b"x" * 32, "HS256", {"typ": "at+jwt", "kid": "shared"})
    with pytest.raises(InvalidToken):
        await verifier.verify(token)
