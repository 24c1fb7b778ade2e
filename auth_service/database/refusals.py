"""What a server that lets nobody in says, and what the service makes of it: the cause, the remedy, and whether to wait.

Servers translate their messages, so their codes decide (SQLSTATE; PostgreSQL manual, appendix A). Poolers have a code
for everything, and words of their own, which they do not translate.
"""

import socket
import ssl

import asyncpg

from auth_service.errors import DatabaseDiskFull, DatabaseUnavailable, DatabaseUnusable, WrongDatabaseSetting


class DatabaseLoginRefused(DatabaseUnusable):
    detail = (
        "The database server refuses the connection: the role or the password in DATABASE_URL is wrong; "
        "it does not say which of the two."
    )


class RoleNotAllowed(DatabaseUnusable):
    detail = (
        "The database server refuses the connection: the role in DATABASE_URL does not exist or may not log in, or "
        "pg_hba.conf does not let it connect from here, or only with TLS (sslmode=require)."
    )


class MayNotConnect(DatabaseUnusable):
    detail = (
        "The role in DATABASE_URL may not connect to this database (GRANT CONNECT ON DATABASE ... TO ...), or not set "
        "a parameter of 'options'."
    )


class NoSuchDatabase(DatabaseUnusable):
    detail = "The database server has no database of the name in DATABASE_URL: correct the name, or create it."


class ClosedDatabase(DatabaseUnusable):
    detail = "The database takes no connections: ALTER DATABASE ... ALLOW_CONNECTIONS true, or name another one."


class SignInNotSupported(DatabaseUnusable):
    detail = (
        "The database server asks for a kind of sign-in that the service does not know: let pg_hba.conf ask for "
        "scram-sha-256, or for a certificate."
    )


class TooManyConnections(DatabaseUnavailable):
    detail = (
        "The database server has no connection left for this role: lower DB_POOL_SIZE, DB_MAX_OVERFLOW or the number "
        "of processes, or raise max_connections or the role's CONNECTION LIMIT."
    )


class DatabaseStarting(DatabaseUnavailable):
    detail = "The database server is starting, stopping or recovering; try again."


class NoServerWillDo(DatabaseUnavailable):
    detail = (
        "No server of DATABASE_URL is what its target_session_attrs asks for: there is no primary until a standby is "
        "promoted."
    )


class NoStandby(WrongDatabaseSetting):
    detail = (
        "target_session_attrs in DATABASE_URL asks for a standby or a server that takes no writes, and there is none: "
        "the service writes, so let it be read-write, or take it out."
    )


class UntrustedCertificate(DatabaseUnusable):
    detail = "The certificate of the database server cannot be trusted: renew it there."


class UnknownAuthority(UntrustedCertificate):
    detail = (
        "The certificate of the database server is of no authority that is trusted: give the file of its authority "
        "as sslrootcert in DATABASE_URL; without one, only those of the system are trusted."
    )


class OtherName(UntrustedCertificate):
    detail = (
        "The certificate of the database server is for another name than the host in DATABASE_URL: use the name that "
        "it is for, or sslmode=verify-ca with an authority that signs for this server alone."
    )


class OutOfDate(UntrustedCertificate):
    detail = "The certificate of the database server has expired, or is not valid yet: renew it, or set the clock."


class NotPostgresql(DatabaseUnusable):
    detail = (
        "What answers at the host and port of DATABASE_URL is not PostgreSQL, or has no TLS, which sslmode asks for: "
        "correct them, or turn TLS on there (ssl = on)."
    )


class HungUp(DatabaseUnavailable):
    detail = (
        "What answers at the host and port of DATABASE_URL hangs up: the database server or a pooler restarts or has "
        "no room, or it is not PostgreSQL."
    )


class TlsFailed(DatabaseUnusable):
    detail = (
        "TLS with the database server failed: check sslcert, sslkey, sslcrl and ssl_min_protocol_version in "
        "DATABASE_URL against what the server expects."
    )


class PoolerNotDeclared(WrongDatabaseSetting):
    detail = (
        "A pooler in transaction mode stands before the database server: set DB_PGBOUNCER=true, and take 'options' "
        "out of DATABASE_URL."
    )


class ParameterRefused(WrongDatabaseSetting):
    detail = "The database server refuses a parameter of 'options' in DATABASE_URL: it has none such, or no such value."


class ConnectionSettingWrong(WrongDatabaseSetting):
    detail = "DATABASE_URL, or libpq's variables or service file, hold what the driver cannot use."


class WrongEncoding(DatabaseUnusable):
    """The database could not keep every name and address. `encoding` is the server's word for what it keeps."""

    def __init__(self, encoding: str = "not UTF8") -> None:
        super().__init__(
            f"The encoding of the database is {encoding}, so it cannot keep every name: create one with ENCODING "
            "'UTF8' TEMPLATE template0, and move what is there (pg_dump, psql)."
        )


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


def refusal_of(error: Exception) -> DatabaseUnavailable:
    """Return what the service says for an error with which no connection came about."""
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        return _of_server(error.sqlstate, str(error))
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
