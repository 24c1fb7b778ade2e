"""The headers that every answer carries, refusals and errors included. Encoded once; a route's own value wins."""

from collections.abc import Sequence

RawHeader = tuple[bytes, bytes]

DEFAULTS: tuple[RawHeader, ...] = (
    (b"cache-control", b"no-store"),
    # Also over plain HTTP: TLS ends at the gateway, and a browser that was reached without it ignores the line.
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
WITHOUT_CONTENT = frozenset({204, 304})
OF_CONTENT = frozenset({b"content-type", b"content-length"})
_NAMES = frozenset(name for name, _ in DEFAULTS)


def complete(status: int, headers: Sequence[RawHeader], request_id: str) -> list[RawHeader]:
    """Return the headers of an answer, named in lower case, with its request's id and each default that it lacks.

    An answer that has no content (RFC 9110, sections 15.3.5 and 15.4.5) does not describe any.
    """
    if status in WITHOUT_CONTENT:
        headers = [header for header in headers if header[0] not in OF_CONTENT]
    own = {name for name, _ in headers}
    missing = DEFAULTS if own.isdisjoint(_NAMES) else [default for default in DEFAULTS if default[0] not in own]
    return [*headers, *missing, (b"x-request-id", request_id.encode())]
