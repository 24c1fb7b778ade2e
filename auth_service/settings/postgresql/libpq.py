"""The options of libpq (PostgreSQL manual, 34.1.2): what becomes of each, its values, and what other tools have."""

import re
from collections.abc import Iterator, Mapping

PORT = re.compile(r"0*([1-9][0-9]{0,4})")
_LAST_PORT = 65535
SYSTEM = "system"  # as sslrootcert: the authorities that the system trusts

TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
ENCRYPTED = TLS_MODES[TLS_MODES.index("require") :]
_LEAST_TLS = "TLSv1.2"  # libpq's and asyncpg's
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

# Options that asyncpg obeys, each with the variable that libpq and asyncpg read where the URL does not have it.
OBEYED: Mapping[str, str | None] = {
    "host": "PGHOST",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslpassword": None,
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "service": None,  # and PGSERVICE, which asyncpg reads
}
PARAMETERS = ("application_name", "options")  # the server obeys them
SPELLINGS = {"database": "dbname"}  # asyncpg's word

# asyncpg has no word for these, and a connection comes about without them.
IGNORED = frozenset({
    "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssdelegation", "gssencmode",
    "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
    "max_protocol_version", "min_protocol_version", "oauth_client_id", "oauth_client_secret", "oauth_issuer",
    "oauth_scope", "replication", "require_auth", "requirepeer", "requiressl", "scram_client_key", "scram_server_key",
    "servicefile", "sslcertmode", "sslcompression", "sslcrldir", "sslkeylogfile", "sslsni", "tcp_user_timeout",
})  # fmt: skip

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "gsslib": ("gssapi", "sspi"),
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "sslmode": TLS_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "primary", "standby", "prefer-standby", "read-write", "read-only"),
}

# Words for the server (PostgreSQL manual, postgres, "Options"): its parameters, or another switch with its value;
# NAME=VALUE alone is for proxies, such as Neon's.
_NAME_AND_VALUE = r"[A-Za-z_][A-Za-z0-9_.$-]*=(?:\\.|[^\s\\])*"
_WORDS = re.compile(rf"\s*(?:(?:(?:-c\s*|--|){_NAME_AND_VALUE}|-[A-Zabd-z]\S*(?:\s+[^\s-]\S*)?)(?:\s+|$))*+", re.DOTALL)
# What stands for a host in an example: `HOST`, `<host>`, `${DB_HOST}`.
_STAND_IN = re.compile(r"(?:(?:YOUR|DB|DATABASE)[-_]?)*(?:HOST(?:[-_]?NAME)?|SERVER)|.*[<>{}$].*")

# A machine may have the first name, but not with an account as in our pages: `user:password@host`.
_STAND_INS = {
    "host": re.compile(r"(?:(?:your|my|db|database)[-_]?)*host(?:[-_]?name)?"),
    "user": re.compile(r"(?:(?:your|my|db|database)[-_]?)*(?:user(?:[-_]?name)?|login)"),
    "password": re.compile(r"(?:(?:your|my|db|database)[-_]?)*(?:pass(?:word|wd)?|pw|secret)"),
}

# A password in an example, in brackets: Supabase's `[YOUR-PASSWORD]`, `<password>`, `${DB_PASSWORD}`.
_SAMPLE_PASSWORD = re.compile(
    r"(?:\[|<|\$?\{+)[\s_-]*(?:[a-z]+[\s_-]+)*(?:db|pg)?pass(?:word|wd)?[\s_-]*[\]>}]+", re.IGNORECASE
)

_TLS = "say it with sslmode"
_SIZE = "set DB_POOL_SIZE and DB_MAX_OVERFLOW instead"
_POOLER = "set DB_PGBOUNCER=true instead if there is a pooler"
_SEARCH_PATH = "set it on the role: ALTER ROLE ... SET search_path"
# What Prisma, JDBC, Npgsql, node-postgres, Go's drivers, Rails, Django and SQLAlchemy put there, and our word for it.
INSTEAD: Mapping[str, str] = {
    "async_fallback": "take it out",
    "connection_limit": _SIZE,
    "currentSchema": _SEARCH_PATH,
    "max_overflow": "set DB_MAX_OVERFLOW instead",
    "pgbouncer": "set DB_PGBOUNCER=true instead",
    "pool": _SIZE,
    "pool_max_conns": _SIZE,
    "pool_recycle": "set DB_POOL_RECYCLE instead",
    "pool_size": _SIZE,
    "pool_timeout": "set DB_POOL_TIMEOUT instead",
    "prepareThreshold": _POOLER,
    "prepared_statement_cache_size": _POOLER,
    "prepared_statements": _POOLER,
    "schema": _SEARCH_PATH,
    "search_path": _SEARCH_PATH,
    "socket_timeout": "set DB_STATEMENT_TIMEOUT instead",
    "ssl": _TLS,
    "ssl_mode": _TLS,
    "sslaccept": _TLS,
    "sslfactory": _TLS,
    "statement_cache_size": _POOLER,
    "statement_timeout": "set DB_STATEMENT_TIMEOUT instead",
}


def complaints(options: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the values; each begins with the name of an option, and holds no value."""
    for name, allowed in ALLOWED.items():
        if options.get(name, allowed[0]) not in allowed:
            yield f"{name} must be one of {', '.join(sorted(allowed))}"
    ports = [port for port in options.get("port", "").split(",") if port]
    if not all((one := PORT.fullmatch(port)) and int(one[1]) <= _LAST_PORT for port in ports):
        yield f"port must be a number from 1 to {_LAST_PORT}"
    yield from _complaints_of_hosts(options)
    if not _WORDS.fullmatch(options.get("options", "")):
        yield "options must be -cNAME=VALUE for each parameter of the server, with %20 between two"
    mode = options.get("sslmode")
    if options.get("sslnegotiation") == "direct" and mode not in ENCRYPTED:
        yield "sslnegotiation direct needs sslmode=require or more"
    least, most = (
        options.get("ssl_min_protocol_version", _LEAST_TLS),
        options.get("ssl_max_protocol_version", "TLSv1.3"),
    )
    if {least, most} <= {*_TLS_VERSIONS} and least > most:
        yield "ssl_max_protocol_version must not be below ssl_min_protocol_version, which is TLSv1.2 by default"
    if options.get("sslrootcert") == SYSTEM and mode != "verify-full":
        yield "sslrootcert system needs sslmode=verify-full"


def _complaints_of_hosts(options: Mapping[str, str]) -> Iterator[str]:
    if _SAMPLE_PASSWORD.fullmatch(options.get("password", "")):
        yield "password is that of an example: put in your own, without the brackets"
    hosts = options.get("host", "").split(",")
    is_sample = all(form.fullmatch(options.get(name, "").lower()) for name, form in _STAND_INS.items())
    if is_sample or any(map(_STAND_IN.fullmatch, hosts)):
        yield "host is that of an example: put in the user, password, host and database of your own"
    elif not all(map(_is_host, hosts)):
        yield "host must be the name of a machine, an address or the folder of a socket"


def _is_host(host: str) -> bool:
    try:
        return host.startswith("/") or host.encode("idna") is not None
    except UnicodeError:
        return False
