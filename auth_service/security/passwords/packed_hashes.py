"""Hashes that hold their parameters, salt and digest in one piece: of ASP.NET, Spring, and scrypt of Java."""

import re
import struct

from auth_service.security.passwords.library_forms import from_base64, pbkdf2_form, scrypt_form

_ASPNET_2 = struct.Struct(">x16s32s")
_ASPNET_3 = struct.Struct(">xIII")
_ASPNET_DIGESTS = ("sha1", "sha256", "sha512")
# Of Spring's two kinds of PBKDF2: the digest, the iterations and the bytes of the salt.
_SPRING_PBKDF2 = {"pbkdf2": ("sha1", "185000", 8), "pbkdf2@SpringSecurity_v5_8": ("sha256", "310000", 16)}
_SPRING_DIGEST = 32


def scrypt_of_java(parameters: str, salt: str, found: str) -> str:
    """Three numbers in one: the logarithm of N, r and p."""
    number = int(parameters, 16)
    blocks, r, p = 1 << (number >> 16), str(number >> 8 & 0xFF), str(number & 0xFF)
    return scrypt_form(blocks, r, p, from_base64(salt), from_base64(found))


def pbkdf2_of_spring(kind: str, text: str, pepper: bytes) -> str:
    digest, rounds, size = _SPRING_PBKDF2[kind]
    data = bytes.fromhex(text) if re.fullmatch("[0-9a-f]+", text) and len(text) % 2 == 0 else from_base64(text)
    if len(data) != size + _SPRING_DIGEST:
        raise ValueError(
            f"Spring's {{{kind}}} is followed by {size + _SPRING_DIGEST} bytes; here, there are {len(data)}."
        )
    return pbkdf2_form(digest, rounds, data[:size] + pepper, data[size:])


def pbkdf2_of_aspnet(text: str) -> str:
    """The first byte says which layout follows: that of Identity 2, or that of 3 and later with its three numbers."""
    data = from_base64(text)
    if data[0] == 0 and len(data) == _ASPNET_2.size:
        return pbkdf2_form("sha1", "1000", *_ASPNET_2.unpack(data))
    kind, rounds, size = _ASPNET_3.unpack_from(data) if len(data) > _ASPNET_3.size else (-1, 0, 0)
    salt, found = data[_ASPNET_3.size :][:size], data[_ASPNET_3.size + size :]
    if data[0] != 1 or not 0 <= kind < len(_ASPNET_DIGESTS) or not found:
        raise ValueError("The base64 is no hash of ASP.NET Identity 2, 3 or later.")
    return pbkdf2_form(_ASPNET_DIGESTS[kind], str(rounds), salt, found)
