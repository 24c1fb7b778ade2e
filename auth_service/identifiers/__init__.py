"""Canonical forms of e-mail addresses and usernames. The same functions everywhere: register, login, import, search."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

from auth_service.errors import FieldFaults, InvalidInput, Reason
from auth_service.identifiers.characters import (
    JOINERS,
    TOO_MANY_MARKS,
    has_too_many_marks,
    idna_library,
    is_spelled,
    refuse_dashes,
    refuse_stand_ins,
    refuse_unseen,
    without_joiners,
    without_unseen,
)
from auth_service.identifiers.skeletons import skeleton

LONGEST_NAME = 64  # characters
LONGEST_EMAIL = 254  # bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets; RFC 6532 counts UTF-8)
LONGEST_DOMAIN, LONGEST_LABEL = 253, 63  # characters, as the DNS has them (RFC 1035, section 2.3.4)
NO_DOMAIN = "After the @ must be the name of a domain, not an IP address or a number."
_NOT_AN_ADDRESS = "Must be an e-mail address, such as name@host.example."
_QUOTED = "Must not have quotation marks before the @, though mail servers may allow them."
_LONG_LABEL = f"The domain must have at most {LONGEST_LABEL} characters between two dots, as the DNS writes it."
_LONG_DOMAIN = f"The domain must have at most {LONGEST_DOMAIN} characters, as the DNS writes it."
_LONG_EMAIL = f"Must have at most {LONGEST_EMAIL} characters, and a letter such as 'é' counts for two or more."
_LONG_NAME = f"Must have at most {LONGEST_NAME} characters."
_NOT_A_NAME = "Must be 1 to 64 letters, digits, '.', '_' or '-', and start with a letter or a digit."

_NUMBER = re.compile("[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_NO_JOINERS = dict.fromkeys(map(ord, JOINERS))


def canonical_email(email: str, field: str = "email") -> str:
    """Return the form under which an e-mail address is unique: NFC, trimmed, case-folded, ASCII domain (IDNA).

    `field` is the one of the request that a refusal names. Whether a new account may have it: see `addresses.py`.

    Raises:
        InvalidInput: not an address, or one that could be mistaken for another person's (Unicode TR36, 2.1).
    """
    refuse_stand_ins(field, email)
    local, _, domain = unicodedata.normalize("NFC", email.strip()).rpartition("@")
    plain = without_joiners(local)  # the library takes no joiner, wherever it stands
    refuse_unseen(field, plain + domain.translate(_NO_JOINERS))
    try:
        if joined := _joined_domain(domain):
            _validate(f"{plain}@{'x' * len(joined)}")
            domain = joined
        else:
            domain = _validate(f"{plain}@{domain}").ascii_domain.lower()
    except ValueError:
        refuse_dashes(field, domain)
        raise _not_an_address(field, local, domain) from None
    return f"{canonical_local_part(local)}@{domain}"


def canonical_username(username: str) -> str:
    """Return the form under which a username is unique: NFC, trimmed, case-folded.

    Raises:
        InvalidInput: other characters than letters with their marks, digits, '.', '_' and '-', or more than 64 of them.
    """
    refuse_stand_ins("username", username)
    name = unicodedata.normalize("NFC", username.strip())
    if len(name) > LONGEST_NAME:
        raise InvalidInput("username", Reason.TOO_LONG, _LONG_NAME, LONGEST_NAME)
    refuse_dashes("username", name)
    letters = without_joiners(name)
    seen = without_unseen(letters)
    if not seen or not seen[0].isalnum() or not is_spelled(seen):
        raise InvalidInput("username", Reason.INVALID_USERNAME, _NOT_A_NAME)
    refuse_unseen("username", letters)
    if has_too_many_marks(name):
        raise InvalidInput("username", Reason.INVALID_USERNAME, TOO_MANY_MARKS)
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


def _not_an_address(field: str, local: str, domain: str) -> InvalidInput:
    """What is said of an address that is none: why, if that can be told for sure, or else how one looks."""
    labels = [_as_in_dns(label) for label in domain.split(".")]
    if domain.startswith("[") or domain.count(":") > 1 or is_number(domain.rstrip(".").rpartition(".")[2]):
        return InvalidInput(field, Reason.INVALID_EMAIL, NO_DOMAIN)  # RFC 5321, section 4.1.3: an address literal
    if local.startswith('"'):
        return InvalidInput(field, Reason.INVALID_EMAIL, _QUOTED)
    if max(map(len, labels)) > LONGEST_LABEL:
        return InvalidInput(field, Reason.TOO_LONG, _LONG_LABEL, LONGEST_LABEL)
    if len(".".join(labels)) > LONGEST_DOMAIN:
        return InvalidInput(field, Reason.TOO_LONG, _LONG_DOMAIN, LONGEST_DOMAIN)
    if len(f"{local}@{domain}".encode(errors="replace")) > LONGEST_EMAIL:
        return InvalidInput(field, Reason.TOO_LONG, _LONG_EMAIL, LONGEST_EMAIL)
    return InvalidInput(field, Reason.INVALID_EMAIL, _NOT_AN_ADDRESS)


def is_number(label: str) -> bool:
    """Whether the last part of a domain makes it an IPv4 address, as resolvers and browsers read it (URL standard)."""
    return bool(_NUMBER.fullmatch(label))


def _as_in_dns(label: str) -> str:
    """The label about as the DNS has it: good enough for its length."""
    return label if label.isascii() else "xn--" + label.casefold().encode("punycode", errors="replace").decode()


def _joined_domain(domain: str) -> str | None:
    """The domain as the DNS knows it (IDNA 2008, UTS #46) if a label has a joiner, in letters or not; else None.

    Raises:
        ValueError: it is no domain.
    """
    if not ("xn--" in domain.lower() or any(joiner in domain for joiner in JOINERS)):
        return None
    idna = idna_library()
    letters: str = idna.decode(domain, uts46=True, std3_rules=True)
    if not any(joiner in letters for joiner in JOINERS):
        return None
    if not all(letters.split(".")):
        raise ValueError("an empty label")
    for label in letters.split("."):
        idna.check_bidi(label, check_ltr=True)  # of all labels, since one from right to left moves the others
    encoded: str = idna.encode(letters).decode()
    return encoded


@cache
def _validator() -> Callable[..., Any]:
    """The library's, which is to judge what an address looks like, and not whose domain it is."""
    # A server has it from FastAPI. Of the commands most read no address, and it is a twelfth of their instructions.
    import email_validator  # noqa: PLC0415

    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # it is there to be changed: so its documentation says
    return email_validator.validate_email


def _validate(email: str) -> Any:
    return _validator()(email, check_deliverability=False, globally_deliverable=False)
