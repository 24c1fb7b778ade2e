"""Canonical forms of what people sign in with. The same functions everywhere: register, login, import, search."""

import re
import unicodedata
from collections.abc import Callable

from auth_service.errors import InvalidInput

_USERNAME = re.compile(r"[^\W_][\w.\-]{0,63}")


def canonical_email(email: str, field: str = "email") -> str:
    """Return the form under which an e-mail address is unique: NFC, trimmed, case-folded, ASCII domain (IDNA).

    `field` is the one of the request that a refusal names.

    Raises:
        InvalidInput: not an address, or one that could be mistaken for another person's (Unicode TR36, 2.1).
    """
    # A server has it from FastAPI. Of the commands most read no address, and it is a twelfth of their instructions.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    _refuse_lookalikes(field, email)
    try:
        found = validate_email(email.strip(), check_deliverability=False, globally_deliverable=False)
    except (EmailNotValidError, ValueError):
        raise InvalidInput(field, "Must be an e-mail address, such as name@host.example.") from None
    return f"{canonical_fragment(found.local_part)}@{found.ascii_domain.lower()}"


def canonical_username(username: str) -> str:
    """Return the form under which a username is unique: NFC, trimmed, case-folded.

    Raises:
        InvalidInput: other characters than letters, digits, '.', '_' and '-', or more than 64 of them.
    """
    _refuse_lookalikes("username", username)
    name = unicodedata.normalize("NFC", username.strip())
    if not _USERNAME.fullmatch(name):
        reason = "Must be 1 to 64 letters, digits, '.', '_' or '-', and start with a letter or a digit."
        raise InvalidInput("username", reason)
    return canonical_fragment(name)


def canonical_fragment(text: str) -> str:
    """Return the form in which a part of an address or a username stands in those: NFC, case-folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def account_names(
    email: str, username: str | None, canonical: Callable[[str], str] = canonical_email
) -> dict[str, str | None]:
    """Return the columns of an account's names: each as given, and in canonical form; raises `InvalidInput`."""
    return {
        "email": email.strip(),
        "email_canonical": canonical(email),
        "username": username.strip() if username is not None else None,
        "username_canonical": canonical_username(username) if username is not None else None,
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


def _refuse_lookalikes(field: str, text: str) -> None:
    """A character that folds into ASCII (KELVIN SIGN, full-width letters, ligatures) spells another name."""
    for character in text.strip():
        folded = unicodedata.normalize("NFKC", character).casefold()
        if not character.isascii() and any(part.isascii() for part in folded):
            raise InvalidInput(field, "Holds a character that looks like another one; use the plain letter.")
