"""Which requests have one meaning only, beyond what the parser refuses by itself.

A gateway and this service must agree on where a request ends and what it is for; where two readings are possible, the
request is refused (RFC 9112, sections 3.2, 6.1 and 11.2).
"""

import re
from collections.abc import Sequence

_NAME = rb"(?:[A-Za-z0-9._~-]%b|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"
_HOST = re.compile(_NAME % b"*")
_ABSOLUTE = re.compile(rb"(?i:https?)://(%b)(?:([/?])([^#]*))?" % (_NAME % b"+"))


def is_clear(method: bytes, version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether a head can be read in one way: its HTTP version, its target, one Host, one framing.

    Takes the names of headers in lower case. The parser has refused `Content-Length` beside `Transfer-Encoding`, and
    each of them twice.
    """
    hosts = [value for name, value in headers if name == b"host"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    return _is_target(method, target) and _names_one_host(version, hosts) and _has_one_framing(version, codings)


def without_origin(method: bytes, target: bytes) -> tuple[bytes, bytes] | None:
    """Return the host of a target in absolute-form, and the target in the form that everybody else sends.

    None if it is in that form already. What Host says is then to be ignored (RFC 9112, section 3.2.2).
    """
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return None
    host, begin, rest = found.groups(default=b"")
    if method == b"OPTIONS" and not begin:  # section 3.2.4: it is asked of the server as a whole
        return host, b"*"
    return host, (b"/" if begin == b"/" else b"/" + begin) + rest


def _is_target(method: bytes, target: bytes) -> bool:
    """Of three forms (RFC 9112, section 3.2), without a fragment, which some cut off while others look at it.

    A user in an absolute URL is a trick (RFC 9110, section 4.2.4), and one without a host names nothing.
    """
    if target.startswith(b"/"):
        return b"#" not in target
    return (method == b"OPTIONS" and target == b"*") or _ABSOLUTE.fullmatch(target) is not None


def _names_one_host(version: str, hosts: Sequence[bytes]) -> bool:
    if not hosts:
        return version == "1.0"
    return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None


def _has_one_framing(version: str, codings: Sequence[bytes]) -> bool:
    if codings:
        return version == "1.1" and codings[0].strip(b" \t").lower() == b"chunked"
    return version in {"1.0", "1.1"}
