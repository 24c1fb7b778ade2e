"""The tables, and the pure rules about them. A rule never reads a clock: it is told the time."""

from auth_service.models.accounts import UNUSABLE, AccountView, LoginAccount
from auth_service.models.audit import (
    AUDIT_EVENTS,
    AUDIT_FLOOR,
    REQUESTER,
    THE_SERVICE,
    AuditEvent,
    Requester,
    SecurityEvent,
)
from auth_service.models.authentication import BY_CODE, BY_PASSWORD, Acr, Authentication, FactorPolicy, by_passkey
from auth_service.models.compatibility import SCHEMA_COMPATIBILITY
from auth_service.models.devices import NUMBERS, UNKNOWN_DEVICE, Device, kind_of_device, name_of_device
from auth_service.models.factors import (
    ENROLMENT_LIFE,
    FACTORS,
    RECOVERY_CODES,
    SPENT_CHALLENGES,
    CredentialDescriptor,
    Factor,
    FactorKind,
    FactorView,
    PasskeyRecord,
    RecoveryCode,
    ResetReason,
)
from auth_service.models.keys import SIGNING_KEYS, KeyState, KeyStep, SigningKey, due_steps, next_change
from auth_service.models.leases import JOB_LEASES
from auth_service.models.mail import (
    FOR_OWNERS,
    LINK_TOKENS,
    LINKS,
    NOTICES_OF,
    OUTGOING_MAILS,
    STOPS,
    DueMail,
    LinkPurpose,
    LinkToken,
    MailKind,
    OutgoingMail,
)
from auth_service.models.pages import Page, Position, Slice
from auth_service.models.pending_changes import PENDING_CHANGES, ChangeKind, PendingChange, StopReason
from auth_service.models.sessions import (
    FAST_FORWARD_LIMIT,
    MOST_ROTATIONS,
    REPLAYS_TOLD,
    ROTATIONS_KEPT,
    EndReason,
    SessionRules,
    SessionState,
    SessionView,
    Verdict,
    hour_of,
    judge,
    told_use,
)
from auth_service.models.table import UtcDateTime
from auth_service.models.throttles import (
    ADDRESS_WINDOW,
    FAILURES_KEPT,
    GLOBAL_WINDOW,
    HARD_STOP,
    KNOWN_FOR,
    THROTTLES,
    Allowance,
    Tally,
    Whom,
    growing_delays,
    neighbourhood_of,
    network_of,
    networks_of,
)
from auth_service.models.users import (
    DELETED_SESSIONS,
    REFRESH_TOKENS,
    REGISTRATIONS,
    USERS,
    RefreshToken,
    User,
)
from auth_service.roles import Role
