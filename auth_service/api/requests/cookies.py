"""The refresh token of a browser: in a cookie that no script can read, and never in a body.

A page asks for it with `X-Auth-Cookie: 1`. No form can send that header, and no page of another origin without a
preflight. The Origin is checked beside it, as a cookie does not know which page sends it along.
"""

from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from auth_service.api.requests.dependencies import ServicesDep
from auth_service.api.schemas.fields import REQUIRED
from auth_service.api.schemas.sessions import RefreshTokenBody, Tokens
from auth_service.errors import CrossSiteRequest, Denial, InvalidInput, InvalidRefreshToken, Reason, Refused
from auth_service.services.sessions.token_issuer import TokenPair

COOKIE = "__Host-auth-refresh"
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"
CLEARED = {"Set-Cookie": f"{COOKIE}=; Max-Age=0; {ATTRIBUTES}"}

SETS_COOKIE: dict[str, Any] = {
    "headers": {"Set-Cookie": {"description": "With X-Auth-Cookie: the refresh token", "schema": {"type": "string"}}}
}
"""What the OpenAPI document says of an answer with tokens."""

PERHAPS_A_COOKIE: dict[str, Any] = {"security": [{}, {"refresh_cookie": []}]}
"""The same of a request: the refresh token is in the body, or in the cookie."""

_MODE = "With `1`, the refresh token is sent in a cookie only; the Origin must be listed (AUTH_COOKIES__ENABLED)"


async def is_cookie_mode(
    request: Request,
    services: ServicesDep,
    x_auth_cookie: Annotated[str | None, Header(alias="X-Auth-Cookie", description=_MODE)] = None,
) -> bool:
    """Tell whether the refresh token of this request travels in the cookie.

    Raises:
        InvalidInput: the header says something else than 1.
        CrossSiteRequest: the page that sends it is none that may.
    """
    if x_auth_cookie is None or not services.settings.cookies.enabled:
        return False
    if request.headers.getlist("x-auth-cookie") != ["1"]:
        raise InvalidInput("X-Auth-Cookie", Reason.UNKNOWN_VALUE, "Must be one header with the value 1.")
    origins = request.headers.getlist("origin")
    if len(origins) != 1 or origins[0] not in services.settings.trusted_origins:
        raise CrossSiteRequest
    return True


CookieMode = Annotated[bool, Depends(is_cookie_mode)]


async def get_sent_token(
    request: Request,
    body: RefreshTokenBody,
    cookie_mode: CookieMode,
) -> str | None:
    """The refresh token from the one place where it belongs; None in a browser that has none.

    Raises:
        InvalidInput: none in a body that needs one, one in a body that may not have it, or two cookies of the name.
    """
    if cookie_mode:
        if body.refresh_token is not None:
            sentence = "Must not be in the body when X-Auth-Cookie is sent."
            raise InvalidInput("refresh_token", Reason.NOT_ALLOWED, sentence)
        return _sole_cookie(request)
    if body.refresh_token is None:
        raise InvalidInput("refresh_token", Reason.REQUIRED, REQUIRED)
    return body.refresh_token.get_secret_value()


SentToken = Annotated[str | None, Depends(get_sent_token)]


async def get_refresh_token(sent: SentToken) -> str:
    """The refresh token; a browser without one is told to sign in, without a look at the database."""
    if sent is None:
        raise InvalidRefreshToken(Denial.MISSING)
    return sent


RefreshToken = Annotated[str, Depends(get_refresh_token)]


def token_response(pair: TokenPair, response: Response, *, cookie_mode: bool) -> Tokens:
    """Return the body of an answer with new tokens, and in cookie mode put the refresh token into a header instead."""
    told = tokens_of(pair)
    if not cookie_mode:
        return told
    cookie = f"{COOKIE}={pair.refresh_token}; Max-Age={pair.refresh_expires_in}; {ATTRIBUTES}"
    response.headers.append("Set-Cookie", cookie)
    return told.model_copy(update={"refresh_token": None})


def tokens_of(pair: TokenPair) -> Tokens:
    """Return the body of an answer with new tokens, for everybody but a browser."""
    return Tokens(
        access_token=pair.access_token,
        expires_in=pair.expires_in,
        refresh_token=pair.refresh_token,
        refresh_expires_in=pair.refresh_expires_in,
        session_id=pair.session_id,
    )


def on_refusal(refused: Refused, request: Request) -> dict[str, str]:
    """The headers that a refusal adds: a cookie whose session has ended is taken back. No other refusal says that.

    Nothing is taken from a page that sent none: another tab may have signed in meanwhile.
    """
    enabled = request.app.state.services.settings.cookies.enabled
    ended = isinstance(refused, InvalidRefreshToken)
    sent = "x-auth-cookie" in request.headers and any(COOKIE in line for line in request.headers.getlist("cookie"))
    return CLEARED if ended and enabled and sent else {}


def _sole_cookie(request: Request) -> str | None:
    """The cookie's value. With two of the name one may be an attacker's, and nothing tells which."""
    pairs = (pair.partition("=") for line in request.headers.getlist("cookie") for pair in line.split(";"))
    values = [value.strip() for name, _, value in pairs if name.strip() == COOKIE]
    if len(values) > 1:
        raise InvalidInput("Cookie", Reason.REPEATED, f"Must contain {COOKIE} exactly once.")
    return values[0] if values else None
