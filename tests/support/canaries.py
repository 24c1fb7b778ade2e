"""Secrets that the whole suite uses, and what finds them, or anything of their kind, where they must not be."""

import base64
import json
import re
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote, quote_plus

PASSWORD = "the canary that this suite signs in with"
SECRET = "dGVzdHMgb25seTogMzIgYnl0ZXMgb3IgbW9yZSwgYXMgYXNrZWQ"

# A refresh token, an access token, the token of a mail's link, a code, a password's hash, a private key.
KINDS = re.compile(
    r"art_[\w-]{60,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}|lnk_[\w-]{20,}|\b[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}|"
    r"\$argon2id?\$v=|\$2[aby]\$\d\d\$|BEGIN [A-Z ]*PRIVATE KEY"
)


@cache
def spellings(secret: str) -> frozenset[str]:
    """A secret as it is, escaped, URL-encoded, in hex, and in base64 wherever it may stand among other bytes."""
    raw = secret.encode()
    found = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret), quote(secret, ""), quote_plus(secret)}
    found |= {raw.hex(), raw.hex().upper()}
    for before in range(3):
        # What neighbours share a character with is left out.
        whole = base64.b64encode(bytes(before) + raw).decode()
        end = len(whole) - (0, 3, 2)[(before + len(raw)) % 3]
        part = whole[(0, 2, 3)[before] : end]
        found |= {part, part.translate(str.maketrans("+/", "-_"))}
    return frozenset(found)


def leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """Which of these secrets are in the text, in whatever spelling; the first characters are enough to tell them."""
    return [secret[:12] for secret in secrets if any(spelling in text for spelling in spellings(secret))]


def assert_told_nothing(text: str, where: str) -> None:
    """Fail if what a process of the suite wrote holds one of its secrets, or anything of their kind."""
    # The embedded default has no mail server: the log is where its user finds a link, in this one event.
    text = "\n".join(line for line in text.splitlines() if "mail.written" not in line)
    found = leaks(text, (PASSWORD, SECRET)) + [match[0][:12] for match in KINDS.finditer(text)]
    assert not found, f"{where} tells {found}"
