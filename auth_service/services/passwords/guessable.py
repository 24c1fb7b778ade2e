"""What a guesser tries before anything else: listed words, repeated or dressed up a little; names; walks on a keyboard.

Pure rules about folded text. None asks for a kind of character: length and surprise are what counts.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from auth_service.blocklist import Blocklist

SHORTEST_NAME = SHORTEST_WALK = 3
ENOUGH_LEFT = 8  # characters, or half of a password that is shorter than twice as much

_ROWS = (
    "12345678901234567890", "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp", "1q2w3e4r5t6y7u8i9o0p",
)  # fmt: skip
_WALKS = "\0".join([*_ROWS, *(row[::-1] for row in _ROWS)])
_DRESS = re.compile(r"^[\W\d_]{1,4}|[\W\d_]{1,4}$")  # a year, an exclamation mark
_SEPARATOR = re.compile(r"[\W_]")


class Guess(StrEnum):
    """What a password is hardly more than."""

    REPETITION = "one character, repeated"
    NAME = "your name or address, or the name of this service"
    KEYS = "a row of keys, letters or digits"
    LISTED = "a common or leaked password"


def first_guess(password: str, names: Iterable[str], listed: Blocklist) -> Guess | None:
    """Return what of the names, the keyboard and the list a folded password is hardly more than, if anything.

    `names` are the folded words that one would try for this account: the service's own, its address and its name.
    """
    if len(set(_unit(password) or password)) == 1 and (password.isascii() or password.isalnum()):
        return Guess.REPETITION
    enough = min(ENOUGH_LEFT, len(password) / 2)
    nameless = _without(names, password)
    left = _without_walks(nameless)
    if len(left) < enough:
        return Guess.NAME if len(nameless) < len(password) else Guess.KEYS
    candidates = {password, *(_unit(form) for text in (password, left) for form in (text, _DRESS.sub("", text)))}
    return Guess.LISTED if any(word in listed for word in candidates) else None


def words_of(name: str) -> Iterator[str]:
    """A name and its parts: `ada.byron@example.com`, `ada`, `byron`, `example` and `com`."""
    yield from (word for word in {name, *re.split(r"[\W_]+", name)} if len(word) >= SHORTEST_NAME)


def _without_walks(text: str) -> str:
    """Take away what runs along the alphabet, the digits or the keys of a keyboard, in either direction."""
    left, at = [], 0
    while at < len(text):
        end = at + SHORTEST_WALK
        if text[at:end] not in _WALKS or end > len(text):
            left.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in _WALKS:
            end += 1
        at = end
    return "".join(left)


def _without(names: Iterable[str], text: str) -> str:
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    return text


def _unit(text: str) -> str:
    """What a text repeats, once: `word` for `wordword` and `word-word`; the text itself if it repeats nothing."""
    parts = set(_SEPARATOR.split(text))
    word = parts.pop() if len(parts) == 1 else text
    return word[: (word + word).find(word, 1)] if word else ""
