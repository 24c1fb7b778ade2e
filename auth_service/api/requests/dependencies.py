"""What routes ask for: the services, the bearer's token, where a request comes from.

All of them are coroutines: a plain function would be sent to a thread for each request. What they need of each other
they call, where they can: a start looks through the parameters of each, once for every route that asks for it.
"""

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Header
from fastapi.security import HTTPBearer
from starlette.requests import Request

from auth_service.api.requests import client
from auth_service.errors import InvalidInput, MissingAccessToken, Reason
from auth_service.models import Device
from auth_service.services.services import Services
from auth_service.services.sessions.bearers import Bearer

_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*) *")  # RFC 6750, section 2.1
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


async def get_services(request: Request) -> Services:
    return _services_of(request)


def _services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def bearer_token(authorization: Sequence[str]) -> str:
    """The token in the one Authorization header of a request; raises `MissingAccessToken`."""
    match = _BEARER.fullmatch(authorization[0]) if len(authorization) == 1 else None
    if match is None:
        raise MissingAccessToken
    return match[1]


class AccessToken(HTTPBearer):
    """The access token, from exactly one Authorization header (RFC 6750, section 2).

    FastAPI's class puts the scheme into the OpenAPI document; what it would take is too lenient.
    """

    async def __call__(self, request: Request) -> str:  # type: ignore[override]  # the token, and never None
        return bearer_token(request.headers.getlist("authorization"))


get_access_token = AccessToken(
    scheme_name="access_token",
    bearerFormat="JWT",
    description="The `access_token` of an answer with tokens (RFC 6750), as `Authorization: Bearer TOKEN`",
)


async def get_bearer(request: Request, token: Annotated[str, Depends(get_access_token)]) -> Bearer:
    """The user and the live session that the access token speaks for."""
    return await _services_of(request).bearers.identify(token)


async def get_recent_bearer(bearer: "BearerDep", services: "ServicesDep") -> Bearer:
    """As `get_bearer`, for what changes who gets in: the sign-in must be recent, or there was a step-up."""
    services.bearers.ensure_recent(bearer)
    return bearer


async def get_bearer_if_any(request: Request) -> Bearer | None:
    """As `get_bearer`, but None without an Authorization header; one that is wrong is refused all the same."""
    authorization = request.headers.getlist("authorization")
    return await _services_of(request).bearers.identify(bearer_token(authorization)) if authorization else None


async def get_idempotency_key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="1 to 255 visible ASCII characters, new with each token: for 24 hours a retry with the same "
            "key is answered again. A key that came with an earlier token too is worth nothing",
            json_schema_extra={"pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
        ),
    ] = None,
) -> str | None:
    repeated = len(request.headers.getlist("idempotency-key")) > 1
    if repeated or (idempotency_key is not None and not IDEMPOTENCY_KEY.fullmatch(idempotency_key)):
        reason = Reason.REPEATED if repeated else Reason.INVALID_FORMAT
        raise InvalidInput("Idempotency-Key", reason, "Must be one header of 1 to 255 visible ASCII characters.")
    return idempotency_key


async def get_device(request: Request) -> Device:
    """Where the request comes from, as far as it can be believed."""
    return _device_of(request)


def _device_of(request: Request) -> Device:
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    peer = request.client.host if request.client else ""
    return client.device_of(
        request.headers.get("user-agent", ""), peer, forwarded, _services_of(request).settings.proxy
    )


async def set_requester(request: Request) -> None:
    """Let whatever this request writes to the security trail say where it came from."""
    client.set_requester(_device_of(request))


ServicesDep = Annotated[Services, Depends(get_services)]
BearerDep = Annotated[Bearer, Depends(get_bearer)]
RecentBearer = Annotated[Bearer, Depends(get_recent_bearer)]
BearerIfAny = Annotated[Bearer | None, Depends(get_bearer_if_any)]
IdempotencyKey = Annotated[str | None, Depends(get_idempotency_key)]
DeviceDep = Annotated[Device, Depends(get_device)]
