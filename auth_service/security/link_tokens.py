"""The token in a link of a mail: `lnk_` and 120 random bits, which the mail also has as a code that people can type.

The database keeps its SHA-256 alone.
"""

import hashlib
import re
import secrets

from auth_service.security.typed_codes import BYTES, LENGTH, in_groups, read_code, spell_code

PREFIX = "lnk_"
_OLDER = re.compile(r"[\w-]{43}")
_AMONG_WORDS = re.compile(r"[0-9A-Za-z]{5}(?:-[0-9A-Za-z]{5}){4}")


def new_link_token() -> str:
    """Return a token of letters and digits alone, so that no mail program takes its end for punctuation."""
    while not (spelled := spell_code(secrets.token_bytes(BYTES)).replace("-", "")).isalnum():
        pass
    return PREFIX + spelled


def code_of_link_token(token: str) -> str:
    """Return the code that does what this token does: `ABCDE-FGHJK-...`."""
    return in_groups(token.removeprefix(PREFIX))


def hash_link_token(text: str) -> bytes:
    """Return what the database keeps of a token, given as it is, as its code however that is typed, or as the link."""
    return hashlib.sha256(_as_it_was_made(text).encode()).digest()


def _as_it_was_made(text: str) -> str:
    """Find the token in a text; one of an older service, in which case counts, is what follows its prefix."""
    before, prefix, after = "".join(text.split()).partition(PREFIX)
    among = _AMONG_WORDS.search(text)
    for candidate in (after[:LENGTH], "" if prefix else text, among[0] if among and not prefix else ""):
        if (code := read_code(candidate)) is not None:
            return PREFIX + spell_code(code).replace("-", "")
    older = _OLDER.match(after)
    return prefix + (older[0] if older else after) if prefix else before
