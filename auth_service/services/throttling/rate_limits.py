"""How often accounts are made and changed, and mails asked for: each is counted, whatever comes of it."""

from uuid import UUID

from auth_service.errors import TooManyAttempts
from auth_service.models import Tally
from auth_service.services.throttling.attempts import Attempts
from auth_service.services.throttling.tallies import Tallies


class RateLimits:
    """Nothing is limited without `attempts`."""

    def __init__(self, tallies: Tallies, attempts: Attempts | None) -> None:
        self._tallies = tallies
        self._attempts = attempts

    async def change(self, what: str, user_id: UUID) -> None:
        """Count what an owner does to the account without a password, which leaves a line in the trail.

        Raises `TooManyAttempts`.
        """
        await self._spend(what, Tally(self._tallies.keys.of("changes", what, str(user_id)), self._tallies.changes))

    async def username(self, user_id: UUID, client_ip: str | None) -> None:
        """Count a try of another username, which tells whether it is taken, as a registration does.

        Raises:
            TooManyAttempts: of this account, or from this IP address.
        """
        await self._spend(
            "username",
            Tally(self._tallies.keys.of("changes", "username", str(user_id)), self._tallies.changes),
            *self._tallies.of_address("registrations", client_ip, self._tallies.registrations),
        )

    async def registration(self, client_ip: str | None) -> None:
        """Count a registration, whether or not it succeeds; raises `TooManyAttempts`."""
        await self._spend(
            "registration",
            *self._tallies.of_address("registrations", client_ip, self._tallies.registrations),
            Tally(self._tallies.keys.of("registrations"), self._tallies.all_registrations),
        )

    async def link_request(self, what: str, name: str, client_ip: str | None) -> None:
        """Count a mail with a link that is asked for, by the name alone, whether or not an account has it.

        Raises:
            TooManyAttempts: for this name, or from this IP address.
        """
        await self._spend(
            what,
            Tally(self._tallies.keys.of("links", what, name), self._tallies.links),
            *self._tallies.of_address("links", client_ip, self._tallies.address_links),
        )

    async def link(self) -> float:
        """Count a mail with a link that somebody asked for; return 0, or the seconds that it has to wait.

        Whoever asks is not refused for what others ask for: a crowd only makes the mail late.
        """
        try:
            await self._spend("link", Tally(self._tallies.keys.of("links"), self._tallies.all_links))
        except TooManyAttempts as refused:
            return refused.retry_after
        return 0

    async def mail(self, kind: str, name: str) -> None:
        """Count a mail to an address that may be a stranger's; raises `TooManyAttempts` for this kind of mail."""
        await self._spend(kind, Tally(self._tallies.keys.of("mails", kind, name), self._tallies.links))

    async def _spend(self, what: str, *tallies: Tally) -> None:
        if self._attempts:
            await self._attempts.spend(what, *tallies)
