"""Guessing is slow: how often a password, a code or a token may be tried, and on which counts an attempt goes."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from uuid import UUID

import structlog

from auth_service.errors import TooManyAttempts
from auth_service.models import LoginAccount, Tally, Whom
from auth_service.repositories.database import Database
from auth_service.repositories.factors.lookups import Challenged
from auth_service.repositories.throttles.lookups import Found, Lookup
from auth_service.repositories.transaction import Transaction
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.attempts import Attempts
from auth_service.services.throttling.tallies import Tallies
from auth_service.services.throttling.token_bucket import TokenBuckets
from auth_service.settings import ThrottleSettings

log = structlog.get_logger()


class Throttler:
    """Who may try, and who has to wait. Nobody has to without `attempts`."""

    def __init__(
        self, database: Database, tallies: Tallies, attempts: Attempts | None, settings: ThrottleSettings
    ) -> None:
        self._database = database
        self._tallies = tallies
        self._attempts = attempts
        self._refreshes = TokenBuckets(settings.refreshes)
        self._passkey_logins = TokenBuckets(settings.logins)
        self.refused: Counter[str] = attempts.refused if attempts else Counter()

    async def login(
        self, lookup: Lookup[LoginAccount], name: str, client_ip: str | None
    ) -> tuple[LoginAccount | None, AbstractAsyncContextManager[Attempt]]:
        """Find the account of a name, and return it with what reserves a sign-in: its block raises `InvalidCredentials`
        for a failure, and succeeds by `Attempt.succeed()`.

        A network that the account was signed in to from is counted apart from strangers, who so cannot lock the owner
        out. An account that does not exist is counted by the name, just like one that does.

        Raises:
            TooManyAttempts: of this account, from this IP address, or in all.
            HashingOverloaded: others were being checked for too long.
        """
        return await self._find(
            "login",
            lookup,
            *self._tallies.by_place("login", client_ip),
            *self._tallies.of_address("logins", client_ip, self._tallies.address),
            Tally(self._tallies.keys.of("logins"), self._tallies.everybody, Whom.STRANGER),
            Tally(self._tallies.keys.of("right logins"), self._tallies.logins, of_account=True),
            unknown=self._tallies.keys.of("unknown", name),
        )

    async def second_factor(
        self, lookup: Lookup[Challenged], user_id: UUID, client_ip: str | None
    ) -> tuple[Challenged | None, AbstractAsyncContextManager[Attempt]]:
        """Find whose challenge it is, and return that with what reserves the code of an app at a sign-in; used and
        refused like `login()`, and counted apart from it.

        Whoever knows the password gets no more guesses by it: nothing but such a code that is right wipes this out.
        """
        known = self._tallies.by_place("login", client_ip)[0]
        return await self._find(
            "second-factor",
            lookup,
            *(tally.about(user_id.bytes) for tally in self._tallies.by_place("second factor", client_ip)),
            *self._tallies.of_address("second factors", client_ip, self._tallies.address),
            Tally(self._tallies.keys.of("second factors"), self._tallies.everybody, Whom.STRANGER),
            known=[known.about(user_id.bytes)],
        )

    def recovery_code(self, user_id: UUID, client_ip: str | None) -> AbstractAsyncContextManager[Attempt]:
        """Count a recovery code at a sign-in, if the block refuses it by `InvalidCredentials`. Nobody guesses one: a
        right one is never counted, and no refusal of others keeps it out.

        Raises:
            TooManyAttempts: this one is wrong too, after too many from this IP address.
        """
        tallies = self._tallies.of_address("recovery codes", client_ip, self._tallies.address)
        return self._refusals("recovery-code", user_id, *tallies, known=self._tallies.known_by_code(user_id, client_ip))

    def passkey(self, user_id: UUID, client_ip: str | None) -> AbstractAsyncContextManager[Attempt]:
        """The same for a passkey at the second step of a sign-in, counted apart from it."""
        tallies = self._tallies.of_address("passkeys after passwords", client_ip, self._tallies.address)
        return self._refusals("passkey", user_id, *tallies, known=self._tallies.known_by_code(user_id, client_ip))

    def password(self, user_id: UUID, session_id: UUID) -> AbstractAsyncContextManager[Attempt]:
        """Reserve a look at the current password for a change by this session; used and refused like `login()`.

        Whoever guesses with a stolen access token uses up what the session has, and the owner's other sessions go on.
        All of them together have one hundred (NIST SP 800-63B-4, 3.2.2). Changes that were made are counted too.
        """
        changes = Tally(self._tallies.keys.of("changes", "password", str(user_id)), self._tallies.proved_changes)
        return self._attempt("password", user_id, *self._tallies.of_session("password", user_id, session_id), changes)

    def step_up(self, user_id: UUID, session_id: UUID) -> AbstractAsyncContextManager[Attempt]:
        """Reserve a look at the current password for a step-up of this session; used and refused like `login()`.

        It is one count of wrong passwords with `password()`, so that neither door adds guesses to the other's. Right
        ones are counted as sign-ins are.
        """
        right = Tally(self._tallies.keys.of("right step-ups", str(user_id)), self._tallies.logins)
        return self._attempt("step-up", user_id, *self._tallies.of_session("password", user_id, session_id), right)

    def step_up_code(self, user_id: UUID, session_id: UUID) -> AbstractAsyncContextManager[Attempt]:
        """Reserve the code of an app for a step-up of this session; used and refused like `login()`.

        As with passwords, whoever guesses uses up what the session has, and then what all have together; and neither is
        a count of sign-ins.
        """
        return self._attempt("step-up", user_id, *self._tallies.of_session("codes of sessions", user_id, session_id))

    def step_up_recovery(self, user_id: UUID, session_id: UUID) -> AbstractAsyncContextManager[Attempt]:
        """Reserve a recovery code for the same. Nobody guesses one: it is counted for this session alone, and apart."""
        counted = Tally(self._tallies.keys.of("recovery codes of sessions", str(session_id)), self._tallies.session)
        return self._attempt("step-up", user_id, counted)

    def step_up_passkey(self, user_id: UUID, session_id: UUID) -> AbstractAsyncContextManager[Attempt]:
        """Count a passkey for the same, if the block refuses it: as `passkey()`, and for this session alone."""
        counted = Tally(self._tallies.keys.of("passkeys of sessions", str(session_id)), self._tallies.session)
        return self._refusals("step-up", user_id, counted)

    def enrolment(
        self, user_id: UUID, client_ip: str | None, session_id: UUID | None = None
    ) -> AbstractAsyncContextManager[Attempt]:
        """Reserve a code that confirms a new factor, sent by this session or before any; used and refused like
        `login()`.

        Whoever adds the factor knows its secret: this counts slips, and not guesses. So it is apart from all else. But
        where it was added is known from then on, as where a code has signed in.
        """
        by = self._tallies.session if session_id else self._tallies.account
        counted = Tally(self._tallies.keys.of("enrolment", str(session_id or user_id)), by)
        return self._attempt("enrolment", user_id, counted, known=self._tallies.known_by_code(user_id, client_ip))

    def right_passkey(self, user_id: UUID) -> None:
        """Count a right passkey that signs in or steps up, in this process alone, as refreshes are.

        Raises `TooManyAttempts`.
        """
        wait = self._passkey_logins.take(user_id.bytes) if self._attempts else 0
        if wait:
            self.refused["passkey"] += 1
            raise TooManyAttempts(wait)

    async def refused_passkey(self, client_ip: str | None) -> None:
        """Count a sign-in with a passkey that was refused; raises `TooManyAttempts` for too many from this IP address.

        Nobody guesses a signature, so a good one is never counted, and no refusal of others keeps it out.
        """
        if self._attempts:
            await self._attempts.spend(
                "passkey", *self._tallies.of_address("passkeys", client_ip, self._tallies.address)
            )

    async def forgive(self, tx: Transaction, user_id: UUID, client_ip: str | None) -> None:
        """Wipe out what was counted against an account: of strangers, of this network, and of its current password."""
        of_login = [tally.about(user_id.bytes).key for tally in self._tallies.by_place("login", client_ip)]
        await tx.throttles.forgive([*of_login, self._tallies.keys.of("password", str(user_id))])

    def refresh(self, session: bytes) -> None:
        """Count a refresh of a session, in this process alone; raises `TooManyAttempts`."""
        wait = self._refreshes.take(session) if self._attempts else 0
        if wait:
            self.refused["refresh"] += 1
            if self._refreshes.is_news(session):
                log.warning("throttle.blocked", what="refresh", by="session", seconds=round(wait))
            raise TooManyAttempts(wait)

    def statement(self) -> AbstractAsyncContextManager[Transaction]:
        """A `Database.statement()` to succeed in, beside other statements."""
        return self._attempts.statement() if self._attempts else self._database.statement()

    async def close(self) -> None:
        """Wait for what is still being taken back."""
        if self._attempts:
            await self._attempts.close()

    def _attempt(
        self, what: str, user_id: UUID | None, *tallies: Tally, known: Sequence[Tally] = ()
    ) -> AbstractAsyncContextManager[Attempt]:
        if self._attempts is None:
            return nullcontext(Attempt())
        return self._attempts.reserve(what, user_id, tallies, known)

    def _refusals(
        self, what: str, user_id: UUID, *tallies: Tally, known: Sequence[Tally] = ()
    ) -> AbstractAsyncContextManager[Attempt]:
        if self._attempts is None:
            return nullcontext(Attempt())
        return self._attempts.refusals(what, user_id, tallies, known)

    async def _find(
        self, what: str, lookup: Lookup[Found], *tallies: Tally, known: Sequence[Tally] = (), unknown: bytes = b""
    ) -> tuple[Found | None, AbstractAsyncContextManager[Attempt]]:
        if self._attempts is None:
            async with self._database.statement() as tx:
                return await lookup.find(tx.connection), nullcontext(Attempt())
        return await self._attempts.find(what, lookup, tallies, known, unknown)
