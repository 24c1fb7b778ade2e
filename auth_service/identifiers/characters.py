"""Which characters names and addresses have: none that nobody sees, or that stand for others; and what letters are."""

import re
import unicodedata
from typing import Any

from auth_service.errors import InvalidInput, Reason
from auth_service.identifiers.skeletons import INVISIBLE

MOST_MARKS = 4  # that take no room, in a row (UTS #39, section 5.4): more of them cover what is around
JOINERS = "\u200c\u200d"  # invisible, and letters of some scripts all the same where RFC 5892, appendix A, has them
INSIDE_WORDS = "\u00b7\u05f3\u05f4\u30fb"  # the same of Catalan, Hebrew and Japanese signs
MINUS = "\u2212"
TSHEG = "\u0f0b"  # stands between the syllables of Tibetan (UTS #39, table 1: Inclusion)
TOO_MANY_MARKS = f"A letter must have at most {MOST_MARKS} accents or other marks above, below or within it."

_SPACE = re.compile(r"[\s\u2800]")  # and the Braille pattern without dots
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # of which none makes a space
_HAS_SPACE = "Must not contain spaces or line breaks."
_HAS_UNSEEN = "Contains an invisible character: type it anew, rather than paste it."
_STANDS_FOR = "Contains a special form of plain characters (full-width, ligature ...): type the plain ones."
_DASH = "Contains a dash or hyphen that is not the plain '-': type that one."
_NO_LETTER = "Contains a sign that cannot be taken, such as an accent without its letter."


def refuse_stand_ins(field: str, text: str) -> None:
    """Refuse a character that stands for ASCII ones (KELVIN SIGN, full-width letters, ligatures): it spells another
    name.

    What only looks like ASCII, or becomes ASCII in another case, is a letter, such as sharp s and a Cyrillic a.

    Raises:
        InvalidInput: the text has one.
    """
    for character in "" if text.isascii() else text.strip():
        if character.isascii() or character.isspace():
            continue
        plain = unicodedata.normalize("NFKC", character)
        if " " in plain:
            raise InvalidInput(field, Reason.INVALID_CHARACTER, _NO_LETTER)
        if any(map(str.isascii, plain)):
            raise InvalidInput(field, Reason.LOOK_ALIKE, _STANDS_FOR)


def refuse_unseen(field: str, text: str) -> None:
    """Refuse spaces, and characters that nobody sees; the text comes without the joiners that it may have.

    Raises:
        InvalidInput: the text has one.
    """
    if _SPACE.search(text):
        raise InvalidInput(field, Reason.INVALID_CHARACTER, _HAS_SPACE)
    if INVISIBLE.search(text) or _CONTROL.search(text):
        raise InvalidInput(field, Reason.INVALID_CHARACTER, _HAS_UNSEEN)


def without_unseen(text: str) -> str:
    """The text without what nobody sees; spaces stay."""
    return _CONTROL.sub("", INVISIBLE.sub("", text))


def has_too_many_marks(text: str) -> bool:
    """Whether marks cover what is around them."""
    marks = 0
    for character in "" if text.isascii() else without_joiners(unicodedata.normalize("NFD", text)):
        marks = marks + 1 if unicodedata.category(character) == "Mn" else 0
        if marks > MOST_MARKS:
            return True
    return False


def refuse_dashes(field: str, text: str) -> None:
    """Refuse dashes and hyphens of typesetters where the plain one is meant, which looks the same to most people.

    Raises:
        InvalidInput: the text has one.
    """
    if not text.isascii() and any((unicodedata.category(one) == "Pd" and one != "-") or one == MINUS for one in text):
        raise InvalidInput(field, Reason.LOOK_ALIKE, _DASH)


def is_spelled(name: str) -> bool:
    """Whether a name without its joiners has nothing but letters with their marks, digits, and the three signs."""
    return all(_is_letter(character) or _is_inside_a_word(name, place) for place, character in enumerate(name))


def without_joiners(text: str) -> str:
    """The text without the joiners that belong where they are; each other one stays."""
    if not any(joiner in text for joiner in JOINERS):
        return text
    return "".join(c for place, c in enumerate(text) if c not in JOINERS or not _joins(text, place))


def idna_library() -> Any:
    """`idna`, imported for whoever needs its tables."""
    import idna  # noqa: PLC0415

    return idna


def _is_letter(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in {"Mn", "Mc"} or character in "._-"


def _is_inside_a_word(text: str, place: int) -> bool:
    if text[place] == TSHEG:
        return text[place - 1] != TSHEG
    return text[place] in INSIDE_WORDS and bool(idna_library().core.valid_contexto(text, place))


def _joins(text: str, place: int) -> bool:
    try:
        return bool(idna_library().core.valid_contextj(text, place))
    except ValueError:
        return False
