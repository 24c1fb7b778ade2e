"""Which e-mail addresses a new account, or a new address of one, may have here. Accounts that are there stay."""

from collections.abc import Callable

from auth_service.errors import InvalidInput, Reason
from auth_service.identifiers import canonical_email

# Names that the public DNS does not have, or not as anybody's own: RFC 6761 (test, localhost), RFC 6762 and its
# appendix G, RFC 8375 (home.arpa), and ICANN's internal. `example` is like any other (RFC 6761, section 6.5).
IN_HOUSE = (
    "corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "localdomain", "localhost", "private", "test",
)  # fmt: skip
# Where there is no mail for anybody: RFC 6761 (invalid), RFC 7686 (onion), RFC 9476 (alt), and the DNS's own arpa.
NOWHERE = ("alt", "arpa", "invalid", "onion")


class AddressPolicy:
    """`takes_in_house` says whether mail gets to in-house domains from here, and `sends_utf8` what is known just now of
    whether the mail server takes addresses with letters outside ASCII before the @ (SMTPUTF8, RFC 6531).
    """

    def __init__(self, *, takes_in_house: bool, sends_utf8: Callable[[], bool | None] = lambda: None) -> None:
        self._takes_in_house = takes_in_house
        self._sends_utf8 = sends_utf8

    def accept(self, email: str, field: str = "email") -> str:
        """Return the canonical form of an address that can be taken; raises `InvalidInput`."""
        canonical = canonical_email(email, field)
        self.check(canonical, field)
        return canonical

    def check(self, canonical: str, field: str = "email") -> None:
        """Raise `InvalidInput` if an address in canonical form cannot be taken. Asks nobody, so it takes no time."""
        local, _, domain = canonical.rpartition("@")
        is_in_house = _is_in(IN_HOUSE, domain)
        if not is_in_house and _is_in(NOWHERE, domain):
            sentence = "No mail can reach a domain that ends in .alt, .arpa, .invalid or .onion."
            raise InvalidInput(field, Reason.UNREACHABLE_EMAIL, sentence)
        # The domains of the world have a dot, and do not end in a number.
        if (is_in_house or "." not in domain or domain[-1].isdigit()) and not self._takes_in_house:
            sentence = "Addresses of in-house domains, such as .local or .lan, are not taken here."
            raise InvalidInput(field, Reason.UNREACHABLE_EMAIL, sentence)
        if not local.isascii() and self._sends_utf8() is False:
            sentence = (
                "Our mail server takes no addresses with letters such as 'é' before the @; after it they are fine."
            )
            raise InvalidInput(field, Reason.UNREACHABLE_EMAIL, sentence)


def _is_in(domains: tuple[str, ...], domain: str) -> bool:
    return f".{domain}".endswith(tuple(f".{one}" for one in domains))
