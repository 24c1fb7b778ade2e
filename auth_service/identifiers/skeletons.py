"""What a username looks like: names of one skeleton look alike (UTS #39, section 4, with Unicode's own confusables).

Skeletons are kept in the database, so the table comes with the code: another table needs a migration.
"""

import hashlib
import json
import re
import unicodedata
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).with_name("confusables.json")
LONGEST = 255  # characters of a skeleton; a longer one, which no real name has, is kept as its hash

# Characters that nobody sees: Default_Ignorable_Code_Point of Unicode 17.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_STRETCHES = re.compile("[\u0640\u07fa]")  # of Arabic and N'Ko: they make a word longer, and no other one
_DOTS = re.compile("(?<=[ijl])\u0307+")  # a dot above a letter that has one, or is taken for one that has
_OF_ASCII = str.maketrans({"m": "rn", "0": "o", "1": "l", "i": "l"})


def skeleton(username: str) -> str:
    """Return what a username looks like in any case of its letters; it is for comparisons alone.

    In UTS #39 `I` looks like `l`, and upper and lower case are one name here: so `i`, `I`, `l` and `1` are one.
    """
    if username.isascii():  # nearly all: without the table
        found = username.lower().translate(_OF_ASCII)
    else:
        # First what characters stand for, of which the table has not all: half-width kana are kana.
        plain = _STRETCHES.sub("", unicodedata.normalize("NFKC", username))
        found = _DOTS.sub("", _lower(_prototype(_lower(_prototype(plain))))).translate(_OF_ASCII)
    return found if len(found) <= LONGEST else hashlib.sha256(found.encode()).hexdigest()


def _prototype(text: str) -> str:
    """The skeleton as UTS #39 defines it."""
    visible = INVISIBLE.sub("", unicodedata.normalize("NFD", text))
    table = _prototypes()
    return unicodedata.normalize("NFD", "".join(table.get(character, character) for character in visible))


def _lower(text: str) -> str:
    """Letter by letter: what stands beside a letter (a sigma at the end) makes no difference."""
    return "".join(map(str.lower, text))


@cache
def _prototypes() -> dict[str, str]:
    """Read when the first name comes that is not ASCII alone."""
    read: dict[str, str] = json.loads(SHIPPED.read_text("utf-8"))["prototypes"]
    return {character: prototype for prototype, characters in read.items() for character in characters}
