"""The guard of internal routes, in addition to a gateway that does not route them."""

import hmac
import re
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader
from starlette.requests import Request

from auth_service.api.requests.dependencies import ServicesDep
from auth_service.errors import InvalidInternalToken
from auth_service.settings import Settings

_BEARER = re.compile(r"(?i:bearer) +(\S+)")
_internal_token = APIKeyHeader(name="X-Internal-Token", scheme_name="internal_token", auto_error=False)


async def internal_only(
    request: Request, header: Annotated[str | None, Depends(_internal_token)], services: ServicesDep
) -> None:
    """Admit a request with a token of `AUTH_INTERNAL_TOKEN`, in X-Internal-Token or as a bearer token."""
    bearer = _BEARER.fullmatch(request.headers.get("authorization", ""))
    require_token(header or (bearer[1] if bearer else ""), services.settings)


def require_token(given: str, settings: Settings) -> None:
    """Compare in constant time with each token of the settings. Without any, only the embedded default is open.

    Raises:
        InvalidInternalToken: no token, or another one.
    """
    tokens = [token.get_secret_value().encode() for token in settings.internal_token]
    if not tokens and not settings.database.is_postgresql:
        return
    if not any([hmac.compare_digest(given.encode(), token) for token in tokens]):  # noqa: C419  # all of them, always
        raise InvalidInternalToken
