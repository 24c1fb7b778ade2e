"""Which requests have one meaning only, beyond what the parser refuses by itself.

A gateway and this service must agree on where a request ends and what it is for; where two readings are possible, the
request is refused (RFC 9112, sections 3.2, 6.1 and 11.2).
"""

import re
from collections.abc import Sequence

_HOST = re.compile(rb"([A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")


def is_clear(version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether a head can be read in one way: its HTTP version, its target, one Host, one framing.

    Takes the names of headers in lower case. The parser has refused `Content-Length` beside `Transfer-Encoding`, and
    each of them twice.
    """
    hosts = [value for name, value in headers if name == b"host"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    return _is_origin_form(target) and _names_one_host(version, hosts) and _has_one_framing(version, codings)


def _is_origin_form(target: bytes) -> bool:
    """An absolute URL would compete with Host, and some cut a fragment off while others look at it."""
    return target.startswith(b"/") and b"#" not in target


def _names_one_host(version: str, hosts: Sequence[bytes]) -> bool:
    if not hosts:
        return version == "1.0"
    return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None


def _has_one_framing(version: str, codings: Sequence[bytes]) -> bool:
    if codings:
        return version == "1.1" and codings[0].strip(b" \t").lower() == b"chunked"
    return version in {"1.0", "1.1"}
