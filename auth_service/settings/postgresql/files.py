"""The files of libpq: certificates, keys and services (PostgreSQL manual, 34.17 and 34.19)."""

import os
import ssl
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path

from auth_service.settings.postgresql.libpq import SYSTEM


def complaints_of_files(options: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the files that are named; each begins with the name of an option, and holds no value."""
    named = options.get("service")
    if (service := named or os.environ.get("PGSERVICE")) and not _has_service(service):
        where = "PGSERVICEFILE, or else ~/.pg_service.conf"
        yield f"{'service' if named else 'PGSERVICE'} must be one that the service file has ({where})"
    has_root = bool(options.get("sslrootcert") or default_file("root.crt"))
    if options.get("sslmode") == "verify-ca" and not has_root:
        yield "sslmode verify-ca needs sslrootcert; verify-full takes the authorities of the system"
    for name in ("sslrootcert", "sslcrl"):
        file = options.get(name)
        if file and file != SYSTEM:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
            except (OSError, ValueError):
                yield f"{name} must be a readable file of certificates (PEM)"
    if certificate := options.get("sslcert"):
        try:
            load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), options)
        except (OSError, ValueError):
            readable = Path(certificate).is_file() and os.access(certificate, os.R_OK)
            yield "sslkey must be the readable key of sslcert" if readable else "sslcert must be a readable file"


def load_certificate(context: ssl.SSLContext, options: Mapping[str, str]) -> None:
    """Let a client show its certificate; raises OSError if the files cannot be used."""
    key = options.get("sslkey") or default_file("postgresql.key")
    context.load_cert_chain(options["sslcert"], key, lambda: options.get("sslpassword", ""))


def default_file(name: str) -> str | None:
    """A file that libpq and asyncpg look for by themselves, if it is there."""
    try:
        file = str(Path.home() / ".postgresql" / name)
    except (RuntimeError, KeyError):
        return None
    return file if os.path.exists(file) else None  # noqa: PTH110  # `Path.exists` raises where the home is another's


def _has_service(name: str) -> bool:
    """Whether it stands in the file that asyncpg reads."""
    try:
        named = os.environ.get("PGSERVICEFILE")
        found = ConfigParser()
        found.read(Path(named) if named is not None else Path.home() / ".pg_service.conf")
    except (ConfigError, RuntimeError, KeyError, OSError, ValueError):
        return False
    return name in found
