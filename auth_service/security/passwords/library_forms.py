"""Hashes as the library writes them, made of their parameters, salt and digest.

PBKDF2 and scrypt compute their output in blocks, each without regard to how many follow. A digest that is longer than
the first block is therefore cut to it, which is as hard to meet as all of them.
"""

from base64 import b64decode, b64encode

from auth_service.security.passwords.hash_faults import fault_of

PBKDF2 = {"sha1": ("pbkdf2", 20), "sha256": ("pbkdf2-sha256", 32), "sha512": ("pbkdf2-sha512", 64)}
_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SCRYPT_BYTES = 32
_SHORTEST = 16  # bytes of a digest
_ARGON2_VERSIONS = {None: "", "16": "", "19": "v=19$"}


def unpadded(data: bytes) -> str:
    """Return standard base64 without its padding, as hashes are written."""
    return b64encode(data).decode().rstrip("=")


def from_base64(text: str) -> bytes:
    """Return the bytes of base64 in any of its alphabets (`+/`, `-_` and `./`), padded or not.

    Raises:
        ValueError: not base64.
    """
    plain = text.rstrip("=").translate(str.maketrans("-_.", "+/+"))
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise ValueError("The salt and the digest of a hash must be base64.") from None


def pbkdf2_form(digest: str, rounds: str, salt: bytes, found: bytes) -> str:
    name, size = PBKDF2[digest]
    written = [unpadded(part).replace("+", ".") for part in (salt, _first(size, found))]
    return "$".join(["", name, str(int(rounds)), *written])


def scrypt_form(blocks: int, r: str, p: str, salt: bytes, found: bytes) -> str:
    if blocks < 2 or blocks & (blocks - 1):  # noqa: PLR2004
        raise ValueError("The cost of a scrypt hash must be a power of two.")
    parameters = f"ln={blocks.bit_length() - 1},r={int(r)},p={int(p)}"
    return "$".join(["", "scrypt", parameters, unpadded(salt), unpadded(_first(_SCRYPT_BYTES, found))])


def _first(size: int, digest: bytes) -> bytes:
    if len(digest) < _SHORTEST:
        raise ValueError(f"The digest of a hash must have at least {_SHORTEST} bytes; this one has {len(digest)}.")
    return digest[:size]


def argon2_form(kind: str, version: str | None, parameters: str, salt: str, found: str) -> str:
    """The parameters in the library's order, and base64 without padding."""
    given = dict(pair.split("=") for pair in parameters.split(","))
    if version not in _ARGON2_VERSIONS or sorted(given) != ["m", "p", "t"]:
        raise ValueError(fault_of("$argon2"))
    written = ",".join(f"{name}={int(given[name])}" for name in "mtp")
    return "$".join(
        ["", kind, _ARGON2_VERSIONS[version] + written, *(unpadded(from_base64(part)) for part in (salt, found))]
    )


def ldap_form(kind: str, text: str) -> str:
    return f"{{{kind.upper()}}}{b64encode(from_base64(text)).decode()}"


def bcrypt_form(start: str, last: str, checksum: str) -> str:
    """Clear the bits of the salt's last character that mean nothing; some systems left what was there."""
    return start + ".Oeu"[_BCRYPT_ALPHABET.index(last) >> 4] + checksum
