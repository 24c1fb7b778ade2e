"""CBOR (RFC 8949) that no authenticator writes: every type, lengths that lie, and second spellings of everything."""

from typing import Any

from fido2 import cbor
from hypothesis import strategies as st

from tests.fuzzing.strategies import damaged

NUMBERS = (0, 1, 2, 3, 7, 23, 24, 37, 255, 256, 257, 65_535, 65_536, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1)
NAMES = ("fmt", "attStmt", "authData", "alg", "sig", "x5c", "", "é", "\x00")
LABELS = (1, 2, 3, 4, -1, -2, -3, -4, 0, -7, -8, -257)  # of COSE keys, and algorithms


def _head(parts: tuple[int, int, int]) -> bytes:
    """A type and its number in 0, 1, 2, 4 or 8 bytes, more than it needs or not; 9 is for lengths that are not told."""
    kind, number, size = parts
    if size == 0:
        return bytes([kind << 5 | number % 24])
    if size == 9:
        return bytes([kind << 5 | 31])
    return bytes([kind << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + (number & (1 << 8 * size) - 1).to_bytes(size)


def heads(kinds: tuple[int, ...]) -> st.SearchStrategy[bytes]:
    numbers = st.sampled_from(NUMBERS) | st.integers(0, 2**64 - 1)
    return st.tuples(st.sampled_from(kinds), numbers, st.sampled_from((0, 0, 1, 2, 4, 8, 9))).map(_head)


well_formed: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.sampled_from(LABELS)
    | st.binary(max_size=70)
    | st.text(max_size=8)
    | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from((*NAMES, *LABELS)) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)
_encoded = well_formed.map(cbor.encode)
_nested = st.tuples(st.sampled_from((b"\x81", b"\xa1\0", b"\xc0", b"\x9f", b"\x82\0")), st.integers(0, 1500), _encoded)
_pieces = _encoded | heads((0, 1, 2, 3, 4, 5, 6, 7)) | st.binary(max_size=6)
values: st.SearchStrategy[bytes] = (
    _encoded
    | damaged(_encoded)
    | st.lists(_pieces, max_size=8).map(b"".join)
    | st.tuples(heads((2, 3, 4, 5)), _pieces, _pieces).map(b"".join)
    | _nested.map(lambda parts: parts[0] * parts[1] + parts[2])
)
