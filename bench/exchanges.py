"""Requests with one place that differs, and what is wanted of their answers."""

import json
from dataclasses import dataclass
from urllib.parse import urlencode

VALUE = "VALUE"  # in a head or a body: the place that differs; survives JSON and forms as it is
CODE = "CODE"  # a second such place: what stands behind a space in the value
_LENGTH = "LENGTH"


@dataclass(frozen=True)
class Exchange:
    """A request, and a pattern whose named groups are looked for in the whole answer.

    With `chain`, what the group of that name found takes the value's place in the next request. `granted` is the status
    that is wanted, or how it begins.
    """

    head: str
    body: str = ""
    pick: str | None = None
    chain: str | None = None
    granted: str = "2"

    def render(self, value: str) -> bytes:
        """Return the request's bytes."""
        value, _, code = value.partition(" ")
        body = self.body.replace(CODE, code).replace(VALUE, value)  # a token may hold any word
        return (self.head.replace(VALUE, value).replace(_LENGTH, str(len(body))) + body).encode()


def get(path: str, *headers: str) -> Exchange:
    """A GET with these lines in its head."""
    return Exchange(_head(f"GET {path}", headers))


def post(
    path: str, fields: dict[str, str], *, form: bool = False, pick: str | None = None, chain: str | None = None
) -> Exchange:
    """A POST of a JSON object, or of a form. A refusal that does not match `pick` ends the run."""
    kind = "x-www-form-urlencoded" if form else "json"
    headers = (f"Content-Type: application/{kind}", f"Content-Length: {_LENGTH}")
    return Exchange(_head(f"POST {path}", headers), urlencode(fields) if form else json.dumps(fields), pick, chain)


def _head(request: str, headers: tuple[str, ...]) -> str:
    return "\r\n".join((f"{request} HTTP/1.1", "Host: bench", *headers, "", ""))
