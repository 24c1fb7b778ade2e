"""The token in a link of a mail: `lnk_` and 136 random bits, which the mail also has as a code that people can type.

The database keeps its SHA-256 alone.
"""

import hashlib
import re
import secrets

from auth_service.security.typed_codes import in_groups, length_of, read_code, spell_code

PREFIX = "lnk_"
BYTES = 17
LENGTH = length_of(BYTES)
_ANY_PREFIX = re.compile(re.escape(PREFIX), re.IGNORECASE)
_OLDER = re.compile(r"[\w-]{43}", re.ASCII)
_AMONG_WORDS = re.compile(r"[0-9A-Za-z]{5}(?:-[0-9A-Za-z]{5}){4}-[0-9A-Za-z]{4}")


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
    joined = "".join(text.split())
    prefix, among = _ANY_PREFIX.search(joined), _AMONG_WORDS.search(text)
    if prefix is None:
        return _by_code(text) or _by_code(among[0] if among else "") or joined
    after = joined[prefix.end() :]
    if _OLDER.fullmatch(after):  # before all else: it may begin like a code
        return PREFIX + after
    older = _OLDER.match(after)
    return _by_code(after[:LENGTH]) or PREFIX + (older[0] if older else after)


def _by_code(text: str) -> str | None:
    code = read_code(text, BYTES)
    return None if code is None else PREFIX + spell_code(code).replace("-", "")
