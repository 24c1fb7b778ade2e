"""Which e-mail addresses a new account, or a new address of one, may have here. Accounts that are there stay."""

from collections.abc import Callable

from auth_service.errors import InvalidInput, Reason
from auth_service.identifiers import NO_DOMAIN, canonical_email, is_number
from auth_service.identifiers.characters import TOO_MANY_MARKS, has_too_many_marks

# What is reserved, so that the public DNS will not have it as anybody's own: RFC 6761 (test, localhost), RFC 6762 and
# its appendix G (local, intranet, internal, private, corp, home, lan), RFC 8375 (home.arpa), ICANN's internal, and
# corp, home and mail, which ICANN does not delegate (its board on 4 February 2018); localdomain is what hosts call
# themselves. Others (docker, k8s) are nobody's today and may be somebody's tomorrow, so they are like any domain, and
# so is `example` (RFC 6761, section 6.5).
IN_HOUSE = (
    "corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "localdomain", "localhost", "mail", "private",
    "test",
)  # fmt: skip
# Where there is no mail for anybody: RFC 6761 (invalid), RFC 7686 (onion), RFC 9476 (alt), and the DNS's own arpa.
NOWHERE = ("alt", "arpa", "invalid", "onion")
LONGEST_LOCAL_PART = 64  # characters; RFC 5321, section 4.5.3.1.1

_NO_MAIL = "No mail can reach a domain that ends in .alt, .arpa, .invalid or .onion."
_NOT_PUBLIC = "Addresses of in-house domains (.local, .lan, a host without a dot ...) are not taken here."
_NO_SMTPUTF8 = "Our mail server takes no addresses with letters such as 'é' before the @; after it they are fine."
_LONG = f"Must have at most {LONGEST_LOCAL_PART} characters before the @."


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
        self._check_domain(domain, field)
        if len(local) > LONGEST_LOCAL_PART:
            raise InvalidInput(field, Reason.TOO_LONG, _LONG, LONGEST_LOCAL_PART)
        if has_too_many_marks(local):
            raise InvalidInput(field, Reason.INVALID_EMAIL, TOO_MANY_MARKS)
        if not local.isascii() and self._sends_utf8() is False:
            raise InvalidInput(field, Reason.UNREACHABLE_EMAIL, _NO_SMTPUTF8)

    def _check_domain(self, domain: str, field: str) -> None:
        last = domain.rpartition(".")[2]
        if is_number(last):
            raise InvalidInput(field, Reason.INVALID_EMAIL, NO_DOMAIN)
        is_in_house = _is_in(IN_HOUSE, domain)
        if not is_in_house and _is_in(NOWHERE, domain):
            raise InvalidInput(field, Reason.UNREACHABLE_EMAIL, _NO_MAIL)
        # The domains of the world have a dot, and do not end in a digit (RFC 3696, section 2).
        if (is_in_house or last == domain or domain[-1].isdigit()) and not self._takes_in_house:
            raise InvalidInput(field, Reason.UNREACHABLE_EMAIL, _NOT_PUBLIC)


def _is_in(domains: tuple[str, ...], domain: str) -> bool:
    return f".{domain}".endswith(tuple(f".{one}" for one in domains))
