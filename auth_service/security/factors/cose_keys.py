"""The public keys of passkeys (COSE, RFC 9052): which are taken, and how one that was taken is read again.

fido2 reads members and verifies signatures. Of a key's numbers, it and OpenSSL refuse only a point that is not on a
NIST curve: whatever else makes no good key, such as one whose signatures anybody can make, is refused here.
"""

from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.cose import ES256, ES384, ES512, RS256, CoseKey, EdDSA

from auth_service.security.factors.webauthn import require

ALGORITHMS = (ES256, EdDSA, ES384, ES512, RS256)  # an authenticator takes the first that it knows
_RSA_BITS = range(2048, 4096 + 1)
_RSA_EXPONENT = (65537).to_bytes(3)
# Of Ed25519 (RFC 8032, section 5.1): the prime of the field, d of the curve, and the y of each point whose order
# divides 8. One signature by such a point is good for many messages, or for all.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDERS = {0, 1, _P - 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8}

_Rule = Callable[[Any], bool]


def read_key(public_key: bytes) -> CoseKey:
    """Read a key that `check_key` let pass when it was new."""
    members: Any = cbor.decode(public_key)
    return _TYPES[members[3]](members)


def check_key(key: CoseKey) -> None:
    """Refuse keys that were not asked for, and members that a key has no use for (WebAuthn, section 6.5.1.1)."""
    rules = _MEMBERS.get(type(key), {})
    require(key.keys() == rules.keys(), "a key of an algorithm that was not asked for, or with other members")
    require(all(rule(key[label]) for label, rule in rules.items()), "a key with a wrong member")
    try:
        key.verify(b"", b"")  # only now does fido2 make a key of the numbers: a point that is not on the curve is none
    except InvalidSignature:
        return


def _is(wanted: int) -> _Rule:
    return lambda value: type(value) is int and value == wanted


def _bytes(length: int) -> _Rule:
    return lambda value: type(value) is bytes and len(value) == length


def _is_modulus(value: Any) -> bool:
    number = int.from_bytes(value) if type(value) is bytes and value[:1] != b"\0" else 0
    return number % 2 == 1 and number.bit_length() in _RSA_BITS


def _is_ed25519_point(value: Any) -> bool:
    """Whether it is the only spelling of a point that is on the curve (RFC 8032, section 5.1.3) and of no small order.

    OpenSSL finds that out with a signature.
    """
    if not _bytes(32)(value):
        return False
    y = int.from_bytes(value, "little") % 2**255  # without the sign of x
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P)
    return y < _P and y not in _SMALL_ORDERS and pow(x_squared, (_P - 1) // 2, _P) == 1


def _ec(algorithm: type[CoseKey], curve: int, length: int) -> dict[int, _Rule]:
    return {1: _is(2), 3: _is(algorithm.ALGORITHM), -1: _is(curve), -2: _bytes(length), -3: _bytes(length)}


_TYPES: dict[Any, type[CoseKey]] = {algorithm.ALGORITHM: algorithm for algorithm in ALGORITHMS}
# The members of each key: kty, alg, then its parameters (RFC 9053, section 7; RFC 8230, section 4). WebAuthn, section
# 5.8.5, fixes the curve of each algorithm.
_MEMBERS: dict[type[CoseKey], dict[int, _Rule]] = {
    ES256: _ec(ES256, 1, 32),
    ES384: _ec(ES384, 2, 48),
    ES512: _ec(ES512, 3, 66),
    EdDSA: {1: _is(1), 3: _is(EdDSA.ALGORITHM), -1: _is(6), -2: _is_ed25519_point},
    RS256: {1: _is(3), 3: _is(RS256.ALGORITHM), -1: _is_modulus, -2: lambda value: bool(value == _RSA_EXPONENT)},
}
