"""Why no connection to the database comes about: the cause, the remedy, and whether waiting may help."""

from auth_service.errors import DatabaseUnavailable, DatabaseUnusable, WrongDatabaseSetting


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
    detail = "The role in DATABASE_URL may not connect to this database (GRANT CONNECT ON DATABASE ... TO ...)."


class MayNotConnectOrSet(MayNotConnect):
    """PostgreSQL has one code for both."""

    detail = MayNotConnect.detail.removesuffix(".") + ", or not set a parameter of 'options'."


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
