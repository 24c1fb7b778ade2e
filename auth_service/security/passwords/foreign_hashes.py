"""Hashes as other systems write them, in the form that the library verifies: the same parameters, salt and digest."""

import re
from collections.abc import Callable

from auth_service.security.passwords.hash_faults import fault_of
from auth_service.security.passwords.library_forms import (
    PBKDF2,
    argon2_form,
    bcrypt_form,
    from_base64,
    ldap_form,
    pbkdf2_form,
    scrypt_form,
)
from auth_service.security.passwords.packed_hashes import pbkdf2_of_aspnet, pbkdf2_of_spring, scrypt_of_java

_LARGEST_LOGARITHM = 63  # what is larger, is no logarithm of N but N itself: Kratos writes it so
_PARTS = {
    "DIGEST": "(" + "|".join(PBKDF2) + ")",
    "N": r"([0-9]{1,10})",
    "TEXT": r"([^$\x00-\x1f\x7f\ud800-\udfff]+)",  # a salt that is used as it is written
    "BASE64": r"([A-Za-z0-9+/._-]+)={0,2}",
    "SALT": r"[./A-Za-z0-9]{21}",
    "ANY": r"[./A-Za-z0-9]",
    "SUM": r"[./A-Za-z0-9]{30}[.CGKOSWaeimquy26]",
    "HEX": r"((?:[0-9a-f]{2})+)",
}
# What Spring, Dovecot and LDAP put before a form that says itself what it is.
_LABELS = re.compile(
    r"\{(?:bcrypt|scrypt|argon2|(?:scrypt|argon2)@SpringSecurity_v5_8|ldap|crypt|(?:blf|md5|sha256|sha512)-crypt|argon2id?)\}"
    r"(?=[$./{])",
    re.IGNORECASE,
)


def library_form(stored: str, pepper: bytes = b"") -> str:
    """Return a stored hash as the library writes it, which is as it is for the library's own kinds.

    `pepper` is what Spring calls the secret of its PBKDF2.

    Raises:
        ValueError: of no kind that is known, or not well-formed; the message repeats nothing of it.
    """
    if not stored.startswith("{"):
        return _form_of(stored, stored)
    bare = stored
    while label := _LABELS.match(bare):
        bare = bare[label.end() :]
    if spring := re.fullmatch(r"\{(pbkdf2(?:@SpringSecurity_v5_8)?)\}([A-Za-z0-9+/]+={0,2})", bare):
        return pbkdf2_of_spring(spring[1], spring[2], pepper)
    return _form_of(bare, stored)


def _form_of(bare: str, stored: str) -> str:
    """Return the form of a hash without its labels; `stored` is the whole of it, of which a refusal tells."""
    for pattern, form in _FORMS:
        found = pattern.fullmatch(bare)
        if found:
            return form(*found.groups())
    raise ValueError(fault_of(stored))


def _of_text(digest: str, rounds: str, salt: str, found: str) -> str:
    return pbkdf2_form(digest, rounds, salt.encode(), from_base64(found))


def _of_werkzeug(digest: str, rounds: str, salt: str, found: str) -> str:
    return pbkdf2_form(digest, rounds, salt.encode(), bytes.fromhex(found))


def _of_bytes(digest: str | None, rounds: str, salt: str, found: str) -> str:
    return pbkdf2_form(digest or "sha1", rounds, from_base64(salt), from_base64(found))


def _scrypt_of_django(n: str, salt: str, r: str, p: str, found: str) -> str:
    return scrypt_form(int(n), r, p, salt.encode(), from_base64(found))


def _scrypt_of_werkzeug(n: str, r: str, p: str, salt: str, found: str) -> str:
    return scrypt_form(int(n), r, p, salt.encode(), bytes.fromhex(found))


def _scrypt_of_bytes(ln: str, r: str, p: str, salt: str, found: str) -> str:
    blocks = int(ln) if int(ln) > _LARGEST_LOGARITHM else 1 << int(ln)
    return scrypt_form(blocks, r, p, from_base64(salt), from_base64(found))


def _scrypt_of_javascript(block_size: str) -> Callable[[str, str], str]:
    return lambda salt, found: scrypt_form(16384, block_size, "1", salt.encode(), bytes.fromhex(found))


def _itself(form: str, *_parts: str) -> str:
    return form


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub("|".join(_PARTS), lambda word: _PARTS[word[0]], template))


_FORMS: list[tuple[re.Pattern[str], Callable[..., str]]] = [
    # Django's are named by their hasher; its bcrypt and Argon2 have only that name before the usual form.
    (_pattern(r"pbkdf2_DIGEST\$N\$TEXT\$BASE64"), _of_text),
    (_pattern(r"scrypt\$N\$TEXT\$N\$N\$BASE64"), _scrypt_of_django),
    (_pattern(r"(?:bcrypt\$)?(\$2[aby]?\$[0-9]{2}\$SALT)(ANY)(SUM)"), bcrypt_form),
    (
        _pattern(
            r"(?:argon2)?\$(argon2(?:i|d|id))\$(?:v=([0-9]+)\$)?([a-z]=[0-9]{1,10}(?:,[a-z]=[0-9]{1,10})*)\$BASE64\$BASE64"
        ),
        argon2_form,
    ),
    (_pattern(r"(bcrypt_sha256\$\$2[aby]\$[0-9]{2}\$SALT)(ANY)(SUM)"), bcrypt_form),
    # Werkzeug
    (_pattern(r"pbkdf2:DIGEST:N\$TEXT\$HEX"), _of_werkzeug),
    (_pattern(r"scrypt:N:N:N\$TEXT\$HEX"), _scrypt_of_werkzeug),
    # passlib, and the PHC string format
    (_pattern(r"\$pbkdf2(?:-DIGEST)?\$(?:i=)?N(?:,l=[0-9]+)?\$BASE64\$BASE64"), _of_bytes),
    (_pattern(r"\$scrypt\$ln=N,r=N,p=N\$BASE64\$BASE64"), _scrypt_of_bytes),
    (_pattern(r"(\$7\$[!-~]+)"), _itself),
    (_pattern(r"(\$bcrypt-sha256\$(?:v=2,t=2b,r=|2[ab],)[0-9]{1,2}\$SALT[.Oeu]\$SUM)"), _itself),
    (_pattern(r"(\$firebase-scrypt\$[!-~]+)"), _itself),
    # Java, where Spring has its own too; better-auth and Lucia 3; Lucia before that
    (_pattern(r"\$(?:s0\$)?([0-9a-f]{5,6})\$BASE64\$BASE64"), scrypt_of_java),
    (re.compile(r"(\{sha256\}[0-9a-f]{80})"), _itself),
    (re.compile(r"(?:s2:)?([0-9a-f]{32}):([0-9a-f]{128})"), _scrypt_of_javascript("16")),
    (re.compile(r"s2:([A-Za-z0-9]+):([0-9a-f]{128})"), _scrypt_of_javascript("16")),
    (re.compile(r"([A-Za-z0-9]{16}):([0-9a-f]{128})"), _scrypt_of_javascript("8")),
    # What crypt makes; phpass, for WordPress and phpBB; Drupal; LDAP
    (re.compile(r"(\$(?:1|apr1)\$[./0-9A-Za-z]{0,8}\$[./0-9A-Za-z]{22})"), _itself),
    (re.compile(r"(\$5\$(?:rounds=[0-9]+\$)?[^$:\n]{0,16}\$[./0-9A-Za-z]{43})", re.ASCII), _itself),
    (re.compile(r"(\$6\$(?:rounds=[0-9]+\$)?[^$:\n]{0,16}\$[./0-9A-Za-z]{86})", re.ASCII), _itself),
    (re.compile(r"(\$[PH]\$[./0-9A-Za-z]{31}|\$S\$[./0-9A-Za-z]{52})"), _itself),
    (re.compile(r"\{(SSHA|SSHA256|SSHA512)\}([A-Za-z0-9+/]+)={0,2}", re.IGNORECASE), ldap_form),
    # ASP.NET Identity
    (re.compile(r"(A[A-Za-z0-9+/]{40,}={0,2})"), pbkdf2_of_aspnet),
]
