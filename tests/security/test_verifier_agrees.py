"""The service and the verifier for other services accept and refuse the same tokens, all signed by the real key."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from auth_service.verifier import InsufficientAuthentication, InvalidToken, Verifier
from auth_service.verifier.sign_ins import Level
from tests.support.client import Client
from tests.support.forge import MISSING, Forge, b64, sign

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

NOW = int(time.time())
OTHER = "https://other.test"
NO_TEXTS: list[Any] = [MISSING, None, 1, True, [], {}, "\x00", "a\r\nb", "a\n", "\x7f", "a\x85", "a\u2028", "\ud800"]
NO_ROLES: list[Any] = [
    MISSING, None, [], {}, "", "user", 1, [1], [None], [["user"]], ["user", 1], [""], ["a b"], ["us\u00e9r"],
    ["user\r\nX-Auth-Role: admin"], ["user\n"], ["\x00"], ["\x7f"], ["user\u2028"],
]  # fmt: skip
NO_TIMES: list[Any] = [MISSING, None, "1", 1.5, True, [], {}, -1, 0, 10**400, float("inf"), float("nan"), NOW + 10_000]
NO_START: list[Any] = [None, "1", 1.5, True, [], {}, "soon", float("inf"), float("nan"), 10**400, NOW + 10_000]
# RFC 7519, section 4.1, RFC 9068, section 2.2, and of client_id RFC 6749, appendix A.1.
REFUSED: dict[str, list[Any]] = {
    "iss": [MISSING, None, "", OTHER, [OTHER], {}, 1],
    "aud": [MISSING, None, "", OTHER, [], [OTHER], {}, 1, [1], [None], [[]]],
    "sub": [MISSING, None, "", "ada@example.com", 1, ["x"], {}],
    "sid": [MISSING, None, "", "x", 1, ["x"], {}],
    "jti": NO_TEXTS,
    "client_id": [*NO_TEXTS, "f\u00fcr uns"],
    "roles": NO_ROLES,
    "iat": NO_TIMES,
    "exp": NO_TIMES,
    "nbf": NO_START,
    "auth_time": [MISSING, None, "1", 1.5, True, [], {}, -1, 2**37, 10**400, float("inf"), float("nan")],
    "acr": [MISSING, None, "", 1, True, ["aal2"], {}, "a b", "aal2\n", "aal2\r\nX-Auth-Acr: phr", "\x00", "\u00e9"],
    "amr": NO_ROLES,
}
TAKEN: dict[str, list[Any]] = {
    "jti": ["", "x", "with a space", "f\u00fcr uns"],
    "client_id": ["", "x", "with a space", '"quoted"'],
    "roles": [["user", "admin"], ["admin"], ["shop:manager"]],
    "nbf": [MISSING, 0, -1, NOW],
    "auth_time": [0, 1, NOW, NOW + 10_000, 2**37 - 1],
    "acr": ["aal1", "phr", "0", "urn:x:y"],
    "amr": [["pwd"], ["pwd", "otp", "mfa"], ["x"]],
    "at_hash": ["x", None],
    "scope": ["a b", None, 1],
}


def odd(forge: Forge) -> Iterator[tuple[str, str, bool]]:
    """What each token is, the token, and whether it is to be accepted."""
    for expected, table in ((False, REFUSED), (True, TAKEN)):
        for claim, values in table.items():
            yield from ((f"{claim}: {value!r}", forge.signed(claims={claim: value}), expected) for value in values)
    ours, now = forge.claims["aud"], int(time.time())
    for audience, expected in (([ours], True), ([OTHER, ours], True), ([ours, 1], False), ([[ours]], False)):
        yield f"aud: {audience}", forge.signed(claims={"aud": audience}), expected
    yield "iss: a list with ours", forge.signed(claims={"iss": [forge.claims["iss"]]}), False
    yield "expires before it is issued", forge.signed(claims={"iat": now + 4, "exp": now + 3}), False
    yield "expires when it is issued", forge.signed(claims={"iat": now + 4, "exp": now + 4}), False
    yield "ten minutes", forge.signed(claims={"iat": now, "exp": now + 600}), True
    yield "longer", forge.signed(claims={"iat": now, "exp": now + 601}), False
    for nothing in (MISSING, None):
        claims = dict.fromkeys(("auth_time", "acr", "amr"), nothing)
        yield f"auth_time, acr and amr: {nothing!r}", forge.signed(claims=claims), True
    yield "begins within the leeway", forge.signed(claims={"nbf": now + 4}), True
    yield from spelled(forge)


def spelled(forge: Forge) -> Iterator[tuple[str, str, bool]]:
    """The same for a token's two parts of JSON, in bytes that not every parser reads alike."""
    for part, said in enumerate((forge.header, forge.claims)):
        text = json.dumps(said)
        for name, data in {
            "UTF-8": text.encode(),
            "spaces": f" {text}\r\n\t".encode(),
            "UTF-16": text.encode("utf-16"),
            "UTF-32": text.encode("utf-32-le"),
            "a byte order mark": text.encode("utf-8-sig"),
            "Latin-1": text.replace("}", ', "x": "\u00e9"}').encode("latin-1"),
            "twice the same name": text.replace("{", '{"typ": "JWT", "sub": "x", ').encode(),
        }.items():
            expected = name in {"UTF-8", "spaces"} or (name == "twice the same name" and part == 1)
            yield f"part {part}: {name}", _signed(forge, part, b64(data)), expected
        for spaces in range(1, 3):
            padded = b64((text + " " * (-len(text) % 3 + spaces)).encode())
            sibling = padded[:-1] + chr(ord(padded[-1]) + 1)  # the same bytes (RFC 4648, section 3.5)
            yield f"part {part}: {spaces}", _signed(forge, part, padded), True
            yield f"part {part}: another spelling {spaces}", _signed(forge, part, sibling), False
            yield f"part {part}: a letter more {spaces}", _signed(forge, part, padded + "A" * (3 - spaces)), False


def _signed(forge: Forge, number: int, part: str) -> str:
    parts = [b64(json.dumps(said).encode()) for said in (forge.header, forge.claims)]
    parts[number] = part
    content = ".".join(parts)
    return f"{content}.{b64(sign(content, forge.key))}"


async def test_the_service_and_the_verifier_accept_the_same_tokens(ada: Client, forge: Forge) -> None:
    verifier = Verifier(forge.claims["iss"], follow_logouts=False)
    verifier.keys.take((await ada.get("/.well-known/jwks.json")).json())

    async def is_taken(token: str) -> bool:
        try:
            await verifier.verify(token)
        except InvalidToken:
            return False
        return True

    wrong: dict[str, dict[str, bool]] = {}
    for name, token, expected in odd(forge):
        answer = await ada.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in {200, 401}, name
        found = {"service": answer.status_code == 200, "verifier": await is_taken(token)}
        wrong |= {name: found} if set(found.values()) != {expected} else {}
    assert not wrong, "\n".join(f"{name}: {found}" for name, found in wrong.items())


NONE: dict[Level, bool] = {"aal1": False, "aal2": False, "phr": False}
LEAST: list[tuple[Any, dict[Level, bool]]] = [
    ("aal1", {"aal1": True, "aal2": False, "phr": False}),
    ("aal2", {"aal1": True, "aal2": True, "phr": False}),
    ("phr", {"aal1": True, "aal2": True, "phr": True}),
    (MISSING, {"aal1": True, "aal2": False, "phr": False}),  # what is not said is the weakest
    *((foreign, NONE) for foreign in ("aal3", "AAL2", "0", "urn:x:y")),
]
"""What a token may say of its sign-in, and for which requirement that is enough."""


async def test_the_service_and_the_verifier_find_the_same_sign_ins_sure_enough(ada: Client, forge: Forge) -> None:
    verifier = Verifier(forge.claims["iss"], follow_logouts=False)
    verifier.keys.take((await ada.get("/.well-known/jwks.json")).json())

    async def is_enough(token: str, least: Level) -> bool:
        try:
            await verifier.verify(token, acr=least)
        except InsufficientAuthentication:
            return False
        return True

    for acr, expected in LEAST:
        unsaid = dict.fromkeys(("auth_time", "amr"), MISSING) if acr is MISSING else {}
        token = forge.signed(claims=unsaid | {"acr": acr})
        for least, is_sure in expected.items():
            answer = await ada.get(f"/internal/verify?acr={least}", headers={"Authorization": f"Bearer {token}"})
            found = {"service": answer.status_code, "verifier": await is_enough(token, least)}
            assert found == {"service": 200 if is_sure else 401, "verifier": is_sure}, (acr, least)
