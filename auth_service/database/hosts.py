"""The servers that a PostgreSQL URL names, of which one takes writes, now this one and after a failover another one."""

from typing import Any
from urllib.parse import urlsplit

import asyncpg

# The last when a server will not do, such as a standby where `target_session_attrs=read-write` is asked for.
CONNECTION_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Hosts:
    """Tries one server after the other, the one that was right last time first.

    The driver would do the same with the URL itself, but its time-out is one for all of them: a server that takes the
    connection and hangs, or whose machine is gone, would use it up, and no other would ever be asked.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        account, at, hosts = parts.netloc.rpartition("@")
        one_each = [parts._replace(netloc=f"{account}{at}{host}").geturl() for host in hosts.split(",")]
        self._urls = one_each if len(one_each) > 1 else [url]

    async def connect(self, *, timeout: float, **arguments: Any) -> Any:  # noqa: ASYNC109  # the driver's own argument
        """Return a connection of the driver's, after at most `timeout` seconds for all servers together.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError: what the last one said.
        """
        error: Exception = OSError("no server is named")
        for url in list(self._urls):
            try:
                connection = await asyncpg.connect(url, timeout=timeout / len(self._urls), **arguments)
            except CONNECTION_LOST as refusal:
                error = refusal
            else:
                self._urls.sort(key=url.__ne__)
                return connection
        raise error
