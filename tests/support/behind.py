"""A TCP proxy between a service and the PostgreSQL of a URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from .tcp_proxy import TcpProxy


@contextmanager
def behind_proxy(url: str) -> Iterator[tuple[TcpProxy, str]]:
    """A proxy before the server on this machine that `url` names, and the URL of the same database through it."""
    parts = urlsplit(url)
    with TcpProxy(parts.port or 5432) as proxy:
        login = parts.netloc.rpartition("@")[0]
        there = parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}", query="sslmode=disable")
        yield proxy, there.geturl()
