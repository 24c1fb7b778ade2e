"""Units of work: the repositories over one connection, made when they are asked for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Generic, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.database.connection import Connection
from auth_service.repositories.audit.events import AuditEvents
from auth_service.repositories.audit.trail import AuditTrail
from auth_service.repositories.factors.enrolments import Enrolments
from auth_service.repositories.factors.expired import ExpiredFactors
from auth_service.repositories.factors.lookups import FactorLookups
from auth_service.repositories.factors.proofs import FactorProofs
from auth_service.repositories.job_leases import JobLeases
from auth_service.repositories.mail.link_tokens import LinkTokens
from auth_service.repositories.mail.link_uses import LinkUses
from auth_service.repositories.mail.outbox import Outbox
from auth_service.repositories.sessions.expired import ExpiredSessions
from auth_service.repositories.sessions.logins import Logins
from auth_service.repositories.sessions.refresh_tokens import RefreshTokens
from auth_service.repositories.sessions.revocation_feed import RevocationFeed
from auth_service.repositories.sessions.sweep import SessionSweep
from auth_service.repositories.sessions.user_sessions import UserSessions
from auth_service.repositories.signing_keys import SigningKeys
from auth_service.repositories.throttles.throttles import Throttles
from auth_service.repositories.users.administration import UserAdministration
from auth_service.repositories.users.imports import UserImports
from auth_service.repositories.users.pending_changes import PendingChanges
from auth_service.repositories.users.registrations import Registrations
from auth_service.repositories.users.search import UserSearch
from auth_service.repositories.users.skeletons import Skeletons
from auth_service.repositories.users.stored_hashes import StoredHashRows
from auth_service.repositories.users.users import Users

CLEANUP_LOCK = 4_711_002  # beside the migrators' lock, see migrations/env.py

Repository = TypeVar("Repository")


class _Repository(Generic[Repository]):
    """A repository of a transaction, made when it is asked for: most use cases need one of them."""

    def __init__(self, make: "Callable[[Transaction], Repository]") -> None:
        self._make = make

    def __get__(self, tx: "Transaction", _owner: object) -> Repository:
        return self._make(tx)


class Transaction:
    """A unit of work: SQLModel's session, and the repositories over it."""

    connection: Connection
    audit: AuditEvents
    outbox: Outbox
    audit_trail = _Repository(lambda tx: AuditTrail(tx.connection))
    users = _Repository(lambda tx: Users(tx.connection, tx.audit))
    refresh_tokens = _Repository(lambda tx: RefreshTokens(tx.connection, tx.audit))
    user_administration = _Repository(lambda tx: UserAdministration(tx.connection, tx.audit))
    user_search = _Repository(lambda tx: UserSearch(tx.connection))
    skeletons = _Repository(lambda tx: Skeletons(tx.connection))
    stored_hashes = _Repository(lambda tx: StoredHashRows(tx.connection))
    user_imports = _Repository(lambda tx: UserImports(tx.connection))
    user_sessions = _Repository(lambda tx: UserSessions(tx.connection, tx.audit))
    revocation_feed = _Repository(lambda tx: RevocationFeed(tx.connection))
    expired_sessions = _Repository(lambda tx: ExpiredSessions(tx.connection))
    session_sweep = _Repository(lambda tx: SessionSweep(tx.connection))
    logins = _Repository(lambda tx: Logins(tx.connection, tx.audit, tx.outbox))
    factors = _Repository(lambda tx: Enrolments(tx.connection, tx.audit))
    factor_lookups = _Repository(lambda tx: FactorLookups(tx.connection))
    factor_proofs = _Repository(lambda tx: FactorProofs(tx.connection))
    expired_factors = _Repository(lambda tx: ExpiredFactors(tx.connection))
    link_tokens = _Repository(lambda tx: LinkTokens(tx.connection))
    link_uses = _Repository(lambda tx: LinkUses(tx.connection, tx.audit))
    pending_changes = _Repository(lambda tx: PendingChanges(tx.connection, tx.audit))
    registrations = _Repository(lambda tx: Registrations(tx.connection, tx.audit))
    job_leases = _Repository(lambda tx: JobLeases(tx.connection))
    throttles = _Repository(lambda tx: Throttles(tx.connection))
    signing_keys = _Repository(lambda tx: SigningKeys(tx.connection, tx.audit))

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.audit = AuditEvents(connection)
        self.outbox = Outbox(connection)

    @property
    def session(self) -> AsyncSession:
        """SQLModel's session. The block that got the transaction commits it, and nothing else does."""
        return self.connection.session

    async def become_only_cleaner(self, budget: timedelta) -> bool:
        """Try to be the one clean-up at work until this transaction ends (a lock of the transaction survives a pooler).

        Between its transactions, a clean-up has a lease. Its commit waits for the disk like any other: what it has
        logged would else be waited for by the next refresh.
        """
        return await self.connection.dialect.try_lock(self.session, CLEANUP_LOCK, budget)

    async def allow_slow_statements(self, budget: timedelta) -> None:
        """Lift the statement time-out for this transaction: a job may take longer than a request."""
        await self.connection.dialect.limit_statements(self.session, budget)


class Reading:
    """The repositories of lists, searches and counts, bound to a connection that may be a little behind.

    Nothing that decides who gets in may ever be one of them.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.user_search = UserSearch(connection)
