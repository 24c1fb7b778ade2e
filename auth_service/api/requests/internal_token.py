"""The guard of internal routes, in addition to a gateway that does not route them."""

import hmac
import re
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader
from starlette.requests import Request

from auth_service.api.requests.dependencies import ServicesDep
from auth_service.errors import Denial, InvalidInternalToken
from auth_service.settings import Settings

_BEARER = re.compile(r"(?i:bearer) +(\S+)")
_internal_token = APIKeyHeader(
    name="X-Internal-Token",
    scheme_name="internal_token",
    description="A token of AUTH_INTERNAL_TOKEN; where no user's token is taken, also as `Authorization: Bearer TOKEN`",
    auto_error=False,
)


async def internal_only(
    request: Request, header: Annotated[str | None, Depends(_internal_token)], services: ServicesDep
) -> None:
    """Admit a request with a token of `AUTH_INTERNAL_TOKEN`, in X-Internal-Token or as a bearer token."""
    require_token(header or _bearer_of(request), services.settings)


async def has_internal_token(request: Request, services: ServicesDep) -> bool:
    """Whether a request that needs no token has one of `AUTH_INTERNAL_TOKEN` all the same."""
    return _is_token(request.headers.get("x-internal-token") or _bearer_of(request), services.settings)


def require_token(given: str, settings: Settings) -> None:
    """Let one of the tokens of the settings pass. Without any, only the embedded default is open.

    Raises:
        InvalidInternalToken: no token, or another one.
    """
    is_open = not settings.internal_token and not settings.database.is_postgresql
    if not is_open and not _is_token(given, settings):
        raise InvalidInternalToken(Denial.WRONG if given else Denial.MISSING)


def _bearer_of(request: Request) -> str:
    bearer = _BEARER.fullmatch(request.headers.get("authorization", ""))
    return bearer[1] if bearer else ""


def _is_token(given: str, settings: Settings) -> bool:
    """Compare in constant time, always with all of them."""
    tokens = [token.get_secret_value().encode() for token in settings.internal_token]
    return any([hmac.compare_digest(given.encode(), token) for token in tokens])  # noqa: C419
