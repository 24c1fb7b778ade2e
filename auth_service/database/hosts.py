"""The servers that a PostgreSQL URL names, of which one takes writes, now this one and after a failover another one."""

import ssl
from configparser import Error as ServiceFileError
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg

from auth_service.database.errors.connecting import refusal_of
from auth_service.database.errors.refusals import NoServerWillDo, NoStandby, WrongEncoding
from auth_service.errors import DatabaseUnavailable
from auth_service.settings import PostgresqlUrl, load_certificate

# The last when a server will not do, such as a standby where `target_session_attrs=read-write` is asked for.
CONNECTION_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# And what asyncpg makes of libpq's variables and its service file, of which it reads some by itself.
CANNOT_CONNECT = (*CONNECTION_LOST, ValueError, ServiceFileError)
UTF8 = "UTF8"
WITHOUT_WRITES = frozenset({"standby", "read-only"})


class Hosts:
    """Tries one server after the other, the one that was right last time first.

    The driver would do the same with the URL itself, but its time-out is one for all of them: a server that takes the
    connection and hangs, or whose machine is gone, would use it up, and no other would ever be asked.
    """

    def __init__(self, url: PostgresqlUrl) -> None:
        self._url = url
        self._servers = list(url.servers) or [("", None)]
        self._context = (url.trusts_system or None) and _trusting_system(tuple(sorted(url.options.items())))
        # What only a URL can tell the driver; what it is told beside the URL comes first.
        self._options = "postgresql://?" + urlencode(url.options, quote_via=quote)

    async def connect(self, *, timeout: float, **arguments: Any) -> Any:  # noqa: ASYNC109  # the driver's own argument
        """Return a connection of the driver's, after at most `timeout` seconds for all servers together.

        Raises:
            DatabaseUnavailable: no server lets us in. It says why, of the first for which waiting is in vain, or else
                of the last one.
        """
        refusals: list[DatabaseUnavailable] = []
        for server in list(self._servers):
            try:
                connection = await self._connect_to(*server, timeout=timeout / len(self._servers), **arguments)
            except CANNOT_CONNECT as error:
                refusals.append(refusal_of(error, has_options="options" in self._url.parameters))
                refusals[-1].__cause__ = error
            else:
                self._servers.sort(key=server.__ne__)
                return connection
        raise self._decisive(refusals)

    def _decisive(self, refusals: list[DatabaseUnavailable]) -> DatabaseUnavailable:
        if self._url.options.get("target_session_attrs") in WITHOUT_WRITES:
            # A server that does not answer may be the one that is asked for; without it, no waiting makes one.
            refusals = [one for one in refusals if not isinstance(one, NoServerWillDo)] or [_caused_alike(refusals[-1])]
        return next((refusal for refusal in refusals if not refusal.is_transient), refusals[-1])

    async def _connect_to(self, host: str, port: int | None, **arguments: Any) -> Any:
        url = self._url
        connection = await asyncpg.connect(
            self._options, host=host or None, port=port, user=url.user, password=url.password, database=url.database,
            ssl=self._context, **arguments,
        )  # fmt: skip
        encoding = getattr(connection.get_settings(), "server_encoding", UTF8)  # which some poolers do not pass on
        if encoding != UTF8:
            connection.terminate()
            raise WrongEncoding(encoding)
        return connection


def _caused_alike(refusal: DatabaseUnavailable) -> NoStandby:
    found = NoStandby()
    found.__cause__ = refusal.__cause__
    return found


@cache
def _trusting_system(options: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    """What judges a server by the authorities of the system; asyncpg cannot, where we have a certificate too.

    Made once: to read the authorities takes 20 ms.
    """
    named = dict(options)
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])  # a direct TLS connection needs it
    versions = {name: value.replace(".", "_") for name, value in options if name.endswith("_protocol_version")}
    context.minimum_version = ssl.TLSVersion[versions.get("ssl_min_protocol_version", "TLSv1_2")]
    if "ssl_max_protocol_version" in versions:
        context.maximum_version = ssl.TLSVersion[versions["ssl_max_protocol_version"]]
    if "sslcrl" in named:
        context.load_verify_locations(named["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if "sslcert" in named:
        load_certificate(context, named)
    return context
