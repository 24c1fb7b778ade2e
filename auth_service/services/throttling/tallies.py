"""On which counts something goes, and how much each of them allows."""

from collections.abc import Iterator
from uuid import UUID

from auth_service.models import (
    ADDRESS_WINDOW,
    FAILURES_KEPT,
    GLOBAL_WINDOW,
    HARD_STOP,
    KNOWN_FOR,
    Allowance,
    Tally,
    Whom,
    growing_delays,
    network_of,
    networks_of,
)
from auth_service.security.keys import SecretKeys
from auth_service.security.throttle_keys import ThrottleKeys
from auth_service.settings import ThrottleSettings

MOST_BY_SESSIONS = 100  # wrong passwords of one account in a row, from all of its sessions together


class Tallies:
    def __init__(self, secrets: SecretKeys, settings: ThrottleSettings) -> None:
        self.keys = ThrottleKeys(secrets)
        free = settings.account_failures
        delays = growing_delays(free, settings.max_delay)
        self.account = Allowance("account", free, FAILURES_KEPT, delays, renewed=True)
        self.network = Allowance("network", free, KNOWN_FOR, delays)
        self.session = Allowance("session", free, FAILURES_KEPT, delays, renewed=True)
        stop = ((MOST_BY_SESSIONS, HARD_STOP),)
        self.sessions = Allowance("account", MOST_BY_SESSIONS, FAILURES_KEPT, stop, renewed=True)
        self.logins = Allowance("account", settings.logins, GLOBAL_WINDOW, counts_successes=True)
        self.changes = Allowance("account", settings.changes, ADDRESS_WINDOW)
        self.proved_changes = self.changes._replace(counts_successes=True)
        self.address = Allowance("address", settings.address_failures, ADDRESS_WINDOW)
        self.everybody = Allowance("everybody", settings.global_failures, GLOBAL_WINDOW)
        self.registrations = Allowance("address", settings.registrations, ADDRESS_WINDOW)
        self.all_registrations = Allowance("everybody", settings.global_registrations, GLOBAL_WINDOW)
        self.links = Allowance("account", settings.links, ADDRESS_WINDOW)
        self.address_links = Allowance("address", settings.address_links, ADDRESS_WINDOW)
        self.all_links = Allowance("everybody", settings.global_links, GLOBAL_WINDOW)

    def by_place(self, what: str, client_ip: str | None) -> tuple[Tally, Tally]:
        """The tallies of an account: of the network, if it was signed in to from there, and of strangers."""
        network = self.keys.of(what, network_of(client_ip))
        known = Tally(network, self.network, Whom.KNOWN, of_account=True)
        return known, Tally(self.keys.of(what), self.account, Whom.STRANGER, of_account=True)

    def known_by_code(self, user_id: UUID, client_ip: str | None) -> list[Tally]:
        """What knows a network of an account by a right code that is not counted by networks itself."""
        return [self.by_place(what, client_ip)[0].about(user_id.bytes) for what in ("login", "second factor")]

    def of_session(self, what: str, user_id: UUID, session_id: UUID) -> tuple[Tally, Tally]:
        """The tallies of one session, and of all of the account together."""
        account = str(user_id)
        of_all = Tally(self.keys.of(what, account), self.sessions)
        return Tally(self.keys.of(what, account, str(session_id)), self.session), of_all

    def of_address(self, what: str, client_ip: str | None, allowance: Allowance) -> Iterator[Tally]:
        """The tallies of an address: one for each network that it is in."""
        for network, allowed in networks_of(client_ip, allowance):
            yield Tally(self.keys.of(f"{what} from", network), allowed)
