"""Where a request carries its access token."""

import re
from collections.abc import Sequence

from auth_service.verifier.errors import MissingToken

_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*) *")  # RFC 6750, section 2.1


def token_of(authorizations: Sequence[str]) -> str:
    """Return the token of a request's Authorization headers.

    Raises:
        MissingToken: there is not exactly one header, or it holds no bearer token.
    """
    match = _BEARER.fullmatch(authorizations[0]) if len(authorizations) == 1 else None
    if match is None:
        raise MissingToken
    return match[1]
