"""What comes back when no connection comes about, from a server, a pooler, TLS or the system, and which refusal it is.

Servers translate their messages, so their codes decide (SQLSTATE; PostgreSQL manual, appendix A). Poolers have a code
for everything, and words of their own, which they do not translate.
"""

import socket
import ssl

import asyncpg

from auth_service.database.errors.refusals import (
    ClosedDatabase,
    ConnectionSettingWrong,
    DatabaseLoginRefused,
    DatabaseStarting,
    HungUp,
    MayNotConnect,
    MayNotConnectOrSet,
    NoServerWillDo,
    NoSuchDatabase,
    NotPostgresql,
    OtherName,
    OutOfDate,
    ParameterRefused,
    PoolerNotDeclared,
    RoleNotAllowed,
    SignInNotSupported,
    TlsFailed,
    TooManyConnections,
    UnknownAuthority,
    UntrustedCertificate,
)
from auth_service.errors import DatabaseDiskFull, DatabaseUnavailable

AT_THE_DOOR: dict[str, type[DatabaseUnavailable]] = {
    "08": HungUp,
    "22023": ParameterRefused,
    "28": RoleNotAllowed,
    "28P01": DatabaseLoginRefused,
    "3D000": NoSuchDatabase,
    "42501": MayNotConnect,
    "42601": ParameterRefused,
    "42704": ParameterRefused,
    "53100": DatabaseDiskFull,
    "53300": TooManyConnections,
    "55000": ClosedDatabase,
    "55P02": ParameterRefused,
    "57P01": DatabaseStarting,
    "57P02": DatabaseStarting,
    "57P03": DatabaseStarting,
}
# PgBouncer and Supavisor.
POOLERS: dict[str, type[DatabaseUnavailable]] = {
    "startup parameter": PoolerNotDeclared,
    "no more connections allowed": TooManyConnections,
    "does not exist": NoSuchDatabase,
    "no such database": NoSuchDatabase,
    "no such user": DatabaseLoginRefused,
    "authentication failed": DatabaseLoginRefused,
    "Tenant or user not found": DatabaseLoginRefused,
}
CERTIFICATES: dict[int, type[UntrustedCertificate]] = {  # X509_V_ERR_* of OpenSSL
    2: UnknownAuthority, 7: UnknownAuthority, 18: UnknownAuthority, 19: UnknownAuthority, 20: UnknownAuthority,
    21: UnknownAuthority, 9: OutOfDate, 10: OutOfDate, 62: OtherName, 64: OtherName,
}  # fmt: skip

NOT_LISTENING = (
    "Nothing listens at the host and port of DATABASE_URL: the database server does not run, or they are wrong."
)
NO_ADDRESS = "The host in DATABASE_URL has no address: its name is wrong, or nobody answers for it at the moment."
NO_SOCKET = "There is no socket of a database server where DATABASE_URL says: it does not run, or the folder is wrong."
NOT_READABLE = "A socket or a file for the connection, such as one in ~/.postgresql, is not for this user to open."
NO_ANSWER = (
    "No PostgreSQL answers at the host and port of DATABASE_URL: a firewall, or they are wrong, or the server hangs."
)
NO_WAY = "This machine has no way to the host and port of DATABASE_URL: they are wrong, or its network is."
OF_SYSTEM: tuple[tuple[type[OSError], str], ...] = (
    (socket.gaierror, NO_ADDRESS),
    (TimeoutError, NO_ANSWER),
    (ConnectionRefusedError, NOT_LISTENING),
    (FileNotFoundError, NO_SOCKET),
    (NotADirectoryError, NO_SOCKET),
    (PermissionError, NOT_READABLE),
    (OSError, NO_WAY),
)
OF_DRIVER: tuple[tuple[type[Exception], type[DatabaseUnavailable]], ...] = (
    (asyncpg.TargetServerAttributeNotMatched, NoServerWillDo),
    (asyncpg.ClientConfigurationError, ConnectionSettingWrong),
    (asyncpg.InterfaceError, SignInNotSupported),
    (asyncpg.InternalClientError, NotPostgresql),
)


def refusal_of(error: Exception, *, has_options: bool) -> DatabaseUnavailable:
    """Return what the service says for an error with which no connection came about, by a URL with `options` or not."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        refusal = _of_server(error.sqlstate, str(error))
        return MayNotConnectOrSet() if has_options and type(refusal) is MayNotConnect else refusal
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if isinstance(error, OSError):
        return _of_system(error)
    found = (refusal for kind, refusal in OF_DRIVER if isinstance(error, kind))
    return next(found, ConnectionSettingWrong)()


def _of_server(sqlstate: str, message: str) -> DatabaseUnavailable:
    for words, refusal in POOLERS.items():
        if words in message and sqlstate[:2] in {"08", "XX"}:
            return refusal()
    return (AT_THE_DOOR.get(sqlstate) or AT_THE_DOOR.get(sqlstate[:2]) or DatabaseUnavailable)()


def _of_tls(error: ssl.SSLError) -> DatabaseUnavailable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATES.get(error.verify_code, UntrustedCertificate)()
    return HungUp() if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) else TlsFailed()


def _of_system(error: OSError) -> DatabaseUnavailable:
    if "rejected SSL upgrade" in str(error):  # asyncpg's words
        return NotPostgresql()
    if isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
        return HungUp()
    return DatabaseUnavailable(next(detail for kind, detail in OF_SYSTEM if isinstance(error, kind)))
