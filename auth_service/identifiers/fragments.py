"""What a part of an e-mail address or a username is found by, whatever form is stored and whatever was typed."""

import unicodedata
from typing import NamedTuple

from auth_service.identifiers import canonical_fragment, canonical_local_part


class Fragment(NamedTuple):
    """Each is a part of: a canonical address, a canonical username, and an address as it was given, in lower case.

    The last is for domains with letters outside ASCII, which a canonical address has in another form. Databases differ
    in which letters outside ASCII they turn into lower case, if any: so there are both.
    """

    of_emails: tuple[str, ...]
    of_username: str
    of_given_emails: tuple[str, ...]


def spell_fragment(text: str) -> Fragment:
    """Return the spellings of what an administrator looks for."""
    small = unicodedata.normalize("NFC", text).lower()
    given = {small, "".join(letter if letter.isascii() else letter.upper() for letter in small)}
    forms = {unicodedata.normalize(form, one) for one in given for form in ("NFC", "NFD")}
    name, at, domain = canonical_local_part(text).rpartition("@")
    folded = canonical_fragment(text)
    emails = dict.fromkeys((name + at + domain, name + at + _of_dns(domain), folded))
    return Fragment(tuple(emails), folded, tuple(sorted(forms)))


def _of_dns(domain: str) -> str:
    """The same with each label that has letters outside ASCII as the DNS knows it, as if it were whole."""
    if domain.isascii():
        return domain
    import idna  # noqa: PLC0415  # its tables are for those who need them

    labels = domain.split(".")
    try:
        return ".".join(label if label.isascii() else idna.encode(label, uts46=True).decode() for label in labels)
    except ValueError:
        return domain
