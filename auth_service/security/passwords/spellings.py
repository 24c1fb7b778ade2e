"""The spellings of a password in Unicode: ours, and those that other systems may have hashed."""

import unicodedata


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
