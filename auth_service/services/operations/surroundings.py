"""What the doctor finds around a process: the gateway in front of it, and the servers that it calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from auth_service.database.replica import Replica, detail_of
from auth_service.errors import DatabaseUnavailable
from auth_service.identifiers.addresses import IN_HOUSE
from auth_service.logs import causes_of
from auth_service.settings import LOOPBACK, PostgresqlUrl, Settings

PATIENCE = timedelta(seconds=5)  # a server may let a refused sign-in wait for two


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str


def of_settings(settings: Settings) -> Iterator[Check]:
    """Look for what is no wrong setting by itself, and wrong where the settings tell that others use the service."""
    if settings.database.is_postgresql:
        is_set = settings.is_public_url_set
        told = f"tokens and links name {settings.base_url}"
        hint = "" if is_set else ", the default: set AUTH_PUBLIC_URL to the URL that clients use"
        yield Check("public URL", is_set, told + hint)
    else:
        yield Check("production", True, _for_production(settings))
    yield from _of_passwords(settings.database.servers)
    yield from of_ways(settings)
    public = urlsplit(settings.public_url)
    if public.scheme == "https" and public.hostname not in LOOPBACK:
        trusted = bool(settings.proxy.trusted)
        hint = "none, so all clients share the gateway's address and its limits: set AUTH_PROXY__TRUSTED to its network"
        yield Check("trusted proxies", trusted, ", ".join(map(str, settings.proxy.trusted)) if trusted else hint)
    yield from _passkeys(settings)


def _for_production(settings: Settings) -> str:
    """What the embedded default leaves to be set; it is in order as it is, on one machine."""
    wanted = {
        "DATABASE_URL to PostgreSQL": True,
        "AUTH_PUBLIC_URL to the URL that clients use": not settings.is_public_url_set,
        "AUTH_INTERNAL_TOKEN": not settings.internal_token,
        "AUTH_MAIL__HOST": not settings.mail.host,
    }
    return f"this is the embedded default; for production set {', '.join(name for name, yes in wanted.items() if yes)}"


def _passkeys(settings: Settings) -> Iterator[Check]:
    """A hint and no failure: pages may have another way to the service, such as their own back end."""
    if settings.passkeys.rp_id is None:
        return
    pages = [origin for origin in settings.passkey_origins if not origin.startswith("android:")]
    others = [page for page in pages if page not in settings.trusted_origins]
    told = f"of {settings.passkeys.rp_id}, on {', '.join(settings.passkey_origins)}"
    hint = f"; browsers let {' and '.join(others)} call this service only if AUTH_CORS__ORIGINS lists it too"
    yield Check("passkeys", True, told + hint if others else told)


def of_ways(settings: Settings) -> Iterator[Check]:
    """Look for ways to other machines on which passwords, tokens and rows travel unencrypted (ASVS 12.2.1, 12.3.1)."""
    public = urlsplit(settings.public_url)
    yield from _of_ways_to(settings.database.servers)
    if settings.mail.host and not _is_near(settings.mail.host):
        hint = (
            f"mails and their links go to {settings.mail.host} unencrypted: set AUTH_MAIL__SECURITY to starttls or tls"
        )
        is_secured = settings.mail.security != "none"
        yield Check("mail TLS", is_secured, "required" if is_secured else hint)
    if public.hostname not in LOOPBACK:
        hint = f"{settings.base_url} is not encrypted: use TLS at the gateway, and its https URL as AUTH_PUBLIC_URL"
        yield Check("HTTPS", public.scheme == "https", hint if public.scheme == "http" else "the public URL has it")


def of_servers(servers: Mapping[str, PostgresqlUrl]) -> Iterator[Check]:
    """Look at what each URL of PostgreSQL says, by the name of its setting."""
    yield from _of_passwords(servers)
    yield from _of_ways_to(servers)


def _of_passwords(servers: Mapping[str, PostgresqlUrl]) -> Iterator[Check]:
    for name, one in servers.items():
        if one.is_elsewhere and one.has_sample_password:
            hint = (
                f"that of {name} is a sample, which everybody tries first: give the role another by psql's \\password"
            )
            yield Check("database password", False, hint)


def _of_ways_to(servers: Mapping[str, PostgresqlUrl]) -> Iterator[Check]:
    if servers:
        open_to_all = " and ".join(name for name, one in servers.items() if one.may_be_overheard)
        hint = f"not required on the way to another machine: add sslmode=verify-full to {open_to_all}"
        yield Check("TLS", not open_to_all, hint if open_to_all else "required, or the server is on this machine")
    for name, one in servers.items():
        if one.ignored:
            yield Check("ignored options", True, f"of {name}, without effect: {', '.join(one.ignored)}")


def _is_near(host: str) -> bool:
    """Whether it is this machine or one of the same network, as far as its name or address tells."""
    try:
        return ip_address(host).is_private
    except ValueError:
        name = host.lower()
        return "." not in name or name.endswith(tuple(f".{domain}" for domain in IN_HOUSE))


async def mail_server(settings: Settings) -> Check:
    """Greet the SMTP server, of which there must be one, with TLS and the sign-in as for a mail."""
    from auth_service.mail.smtp import NotDeliveredError, SmtpServer  # noqa: PLC0415  # only where mail is sent

    name = f"{settings.mail.host}:{settings.mail.smtp_port}"
    server = SmtpServer(settings.mail, settings.base_url)
    try:
        await server.greet(PATIENCE)
    except (NotDeliveredError, OSError) as error:
        causes = ", ".join([cause for cause in causes_of(error) if cause != "CancelledError"] or [type(error).__name__])
        return Check("mail", False, f"{name} cannot be used ({causes}): check AUTH_MAIL__* and the way to the server")
    without = "" if server.sends_utf8 else "; without SMTPUTF8, so addresses such as é@example.com are refused"
    return Check("mail", True, f"{name} answers{without}")


async def read_replica(replica: Replica) -> Check:
    """Ask the replica, which waits for a second at most."""
    try:
        await replica.check()
    except DatabaseUnavailable as error:
        cause = ", ".join([error.code, *causes_of(error)[-1:]])
        hint = "the primary does its work; check DATABASE_READ_REPLICA_URL and the server"
        return Check("read replica", False, f"cannot be used ({cause}): {hint}. {detail_of(error)}")
    return Check("read replica", True, f"a standby that answers, at most {replica.lag or 0:.1f} s behind")
