"""Canonical forms of what people sign in with. The same functions everywhere: register, login, import, search."""

import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

from auth_service.errors import FieldFaults, InvalidInput, Reason
from auth_service.skeletons import INVISIBLE, skeleton

LONGEST_NAME = 64  # characters
MOST_MARKS = 4  # that take no room, in a row (UTS #39, section 5.4): more of them cover what is around
JOINERS = "\u200c\u200d"  # invisible, and letters of some scripts all the same where RFC 5892, appendix A, has them
INSIDE_WORDS = "\u00b7\u05f3\u05f4\u30fb"  # the same of Catalan, Hebrew and Japanese signs
TSHEG = "\u0f0b"  # stands between the syllables of Tibetan (UTS #39, table 1: Inclusion)
_NOT_AN_ADDRESS = "Must be an e-mail address, such as name@host.example."
_NOT_A_NAME = "Must be 1 to 64 letters, digits, '.', '_' or '-', and start with a letter or a digit."


def canonical_email(email: str, field: str = "email") -> str:
    """Return the form under which an e-mail address is unique: NFC, trimmed, case-folded, ASCII domain (IDNA).

    `field` is the one of the request that a refusal names. Whether a new account may have it: see `addresses.py`.

    Raises:
        InvalidInput: not an address, or one that could be mistaken for another person's (Unicode TR36, 2.1).
    """
    _refuse_other_spellings(field, email)
    local, _, domain = unicodedata.normalize("NFC", email.strip()).rpartition("@")
    plain = _without_joiners(local)  # the library takes no joiner, wherever it stands
    try:
        if joined := _joined_domain(domain):
            _validate(f"{plain}@{'x' * len(joined)}")
            domain = joined
        else:
            domain = _validate(f"{plain}@{domain}").ascii_domain.lower()
    except ValueError:
        raise InvalidInput(field, Reason.INVALID_EMAIL, _NOT_AN_ADDRESS) from None
    return f"{canonical_local_part(local)}@{domain}"


def canonical_username(username: str) -> str:
    """Return the form under which a username is unique: NFC, trimmed, case-folded.

    Raises:
        InvalidInput: other characters than letters with their marks, digits, '.', '_' and '-', or more than 64 of them.
    """
    _refuse_other_spellings("username", username)
    name = unicodedata.normalize("NFC", username.strip())
    if not 0 < len(name) <= LONGEST_NAME or not name[0].isalnum() or not _is_spelled(name):
        raise InvalidInput("username", Reason.INVALID_USERNAME, _NOT_A_NAME)
    return canonical_fragment(name)


def canonical_fragment(text: str) -> str:
    """Return the form in which a part of an address or a username stands in those: NFC, case-folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def canonical_local_part(text: str) -> str:
    """The same for what stands before the @: `ß` stays, since `weiß` and `weiss` are two mailboxes, as in domains."""
    return "ß".join(map(canonical_fragment, unicodedata.normalize("NFC", text).replace("ẞ", "ß").split("ß")))


def account_names(
    email: str, username: str | None, canonical: Callable[[str], str] = canonical_email
) -> dict[str, str | None]:
    """Return the columns of an account's names: each as given, and in canonical form; raises `InvalidFields`."""
    faults, columns = FieldFaults(), dict[str, str | None]()
    with faults.noted():
        columns = {"email": email.strip(), "email_canonical": canonical(email)}
    with faults.noted():
        columns |= username_columns(username)
    faults.refuse()
    return columns


def username_columns(username: str | None) -> dict[str, str | None]:
    """Return the columns of a username: as given, in canonical form, and what it looks like; raises `InvalidInput`."""
    canonical = canonical_username(username) if username is not None else None
    name = username.strip() if username is not None else None
    return {
        "username": name,
        "username_canonical": canonical,
        "username_skeleton": skeleton(name) if name is not None else None,
        "username_skeleton_of": canonical,
    }


def canonical_password(password: str) -> str:
    """NFC, and nothing else: no case folding, no trimming, no compatibility forms (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFC", password)


def password_spellings(password: str) -> tuple[str, ...]:
    """The forms to compare with a hash of another system, each once: the canonical one, the one given, NFKC and NFKD.

    Other systems hashed what the keyboard sent, and some keyboards send a letter and its accent apart, which is not
    NFC; or they hashed a compatibility form, as better-auth (NFKC) and Flask-Security (NFKD) do.
    """
    compatible = (unicodedata.normalize("NFKC", password), unicodedata.normalize("NFKD", password))
    return tuple(dict.fromkeys((canonical_password(password), password, *compatible)))


def _refuse_other_spellings(field: str, text: str) -> None:
    """A character that stands for ASCII ones (KELVIN SIGN, full-width letters, ligatures) spells another name.

    What only looks like ASCII, or becomes ASCII in another case, is a letter, such as sharp s and a Cyrillic a.
    """
    for character in text.strip():
        if not character.isascii() and any(map(str.isascii, unicodedata.normalize("NFKC", character))):
            sentence = "Holds a character that looks like another one; use the plain letter."
            raise InvalidInput(field, Reason.LOOK_ALIKE, sentence)


def _is_spelled(name: str) -> bool:
    """Whether a name has nothing but letters with their marks, digits, and the three signs."""
    visible = _without_joiners(name)
    marks = 0
    for place, character in enumerate(visible):
        category = unicodedata.category(character)
        marks = marks + 1 if category == "Mn" else 0
        is_letter = character.isalnum() or category in {"Mn", "Mc"} or character in "._-"
        if marks > MOST_MARKS or not (is_letter or _is_inside_a_word(visible, place)):
            return False
    return not INVISIBLE.search(visible)


def _is_inside_a_word(text: str, place: int) -> bool:
    if text[place] == TSHEG:
        return text[place - 1] != TSHEG
    return text[place] in INSIDE_WORDS and bool(_idna().core.valid_contexto(text, place))


def _without_joiners(text: str) -> str:
    """The text without the joiners that belong where they are; each other one stays."""
    if not any(joiner in text for joiner in JOINERS):
        return text
    return "".join(c for place, c in enumerate(text) if c not in JOINERS or not _joins(text, place))


def _joins(text: str, place: int) -> bool:
    try:
        return bool(_idna().core.valid_contextj(text, place))
    except ValueError:
        return False


def _joined_domain(domain: str) -> str | None:
    """The domain as the DNS knows it (IDNA 2008, UTS #46) if a label has a joiner, in letters or not; else None.

    Raises:
        ValueError: it is no domain.
    """
    if not ("xn--" in domain.lower() or any(joiner in domain for joiner in JOINERS)):
        return None
    idna = _idna()
    letters: str = idna.decode(domain, uts46=True, std3_rules=True)
    if not any(joiner in letters for joiner in JOINERS):
        return None
    if not all(letters.split(".")):
        raise ValueError("an empty label")
    for label in letters.split("."):
        idna.check_bidi(label, check_ltr=True)  # of all labels, since one from right to left moves the others
    encoded: str = idna.encode(letters).decode()
    return encoded


def _idna() -> Any:
    import idna  # noqa: PLC0415  # its tables are for those who need them

    return idna


@cache
def _validator() -> Callable[..., Any]:
    """The library's, which is to judge what an address looks like, and not whose domain it is."""
    # A server has it from FastAPI. Of the commands most read no address, and it is a twelfth of their instructions.
    import email_validator  # noqa: PLC0415

    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # it is there to be changed: so its documentation says
    return email_validator.validate_email


def _validate(email: str) -> Any:
    return _validator()(email, check_deliverability=False, globally_deliverable=False)
