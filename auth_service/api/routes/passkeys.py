"""`/auth/passkeys` and `/auth/me/passkeys`: how passkeys sign in, and how owners add and name them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, status
from starlette.responses import Response

from auth_service.api.http.openapi import problems
from auth_service.api.http.plain_route import PlainRequest, PlainRoute, plain
from auth_service.api.requests.cookies import SETS_COOKIE, CookieMode, token_response, tokens_of
from auth_service.api.requests.dependencies import BearerDep, DeviceDep, RecentBearer, ServicesDep, set_requester
from auth_service.api.routes.accounts import BEARER, RECENT
from auth_service.api.routes.sessions import GIVING
from auth_service.api.schemas.factors import PasskeyItem
from auth_service.api.schemas.passkeys import (
    FirstPasskey,
    NewPasskeyBody,
    NoFields,
    PasskeyChallenge,
    PasskeyLoginBody,
    PasskeyNameBody,
    RelatedOrigins,
)
from auth_service.api.schemas.sessions import Tokens
from auth_service.errors import PasskeysNotConfigured
from auth_service.services.factors.passkey_login import PasskeyOptions
from auth_service.services.services import Passkeys, Services

router = APIRouter(tags=["passkeys"], route_class=PlainRoute, dependencies=[Depends(set_requester)])


def _passkeys_of(services: Services) -> Passkeys:
    if services.passkeys is None:
        raise PasskeysNotConfigured
    return services.passkeys


async def get_passkeys(services: ServicesDep) -> Passkeys:
    """The use cases of passkeys, where they are configured."""
    return _passkeys_of(services)


PasskeysDep = Annotated[Passkeys, Depends(get_passkeys)]


@router.post("/auth/passkeys/options", response_model=PasskeyChallenge, responses=problems("not-found", body=True))
async def begin_passkey_login(body: NoFields, passkeys: PasskeysDep, response: Response) -> PasskeyOptions:
    """Begin a sign-in with a passkey: the answer is the same for everybody but for the challenge, and nothing is
    written.

    The challenge is good once and for five minutes. Pages that offer passkeys in the form's autofill ask for it when
    they open.
    """
    response.headers["Cache-Control"] = "no-store"
    return passkeys.login.options()


@plain(router, begin_passkey_login)
async def plain_begin_passkey_login(request: PlainRequest) -> PasskeyOptions | None:
    passkeys = _passkeys_of(request.services)
    return passkeys.login.options() if await request.body(NoFields) is not None else None


@router.post(
    "/auth/passkeys/login",
    responses={200: SETS_COOKIE, **problems(*GIVING, "invalid-credentials", "not-found", body=True)},
)
async def login_with_passkey(
    body: PasskeyLoginBody, device: DeviceDep, cookie_mode: CookieMode, passkeys: PasskeysDep, response: Response
) -> Tokens:
    """Open a session with a passkey. It is enough alone: no password and no code is asked for.

    If the passkey is not known here, `unknown_credential` is true, and the page may tell the browser so
    (`PublicKeyCredential.signalUnknownCredential()`).
    """
    pair = await passkeys.login.login(body.credential.assertion(body.challenge.get_secret_value()), device)
    return token_response(pair, response, cookie_mode=cookie_mode)


@plain(router, login_with_passkey)
async def plain_login_with_passkey(request: PlainRequest) -> Tokens | None:
    passkeys = _passkeys_of(request.services)
    body = await request.body(PasskeyLoginBody)
    if body is None:
        return None
    assertion = body.credential.assertion(body.challenge.get_secret_value())
    return tokens_of(await passkeys.login.login(assertion, request.device()))


@router.post("/auth/me/passkeys/options", response_model=PasskeyChallenge, responses=problems(*RECENT, "not-found"))
async def begin_passkey(bearer: RecentBearer, passkeys: PasskeysDep) -> PasskeyOptions:
    """Begin to add a passkey to the account. The challenge is good once and for five minutes."""
    return await passkeys.enrolment.options(bearer)


@router.post(
    "/auth/me/passkeys",
    status_code=status.HTTP_201_CREATED,
    responses={
        201: SETS_COOKIE,
        **problems(*RECENT, *GIVING, "invalid-challenge", "factor-exists", "too-many-factors", "not-found", body=True),
    },
)
async def add_passkey(
    body: NewPasskeyBody,
    bearer: RecentBearer,
    *,
    device: DeviceDep,
    cookie_mode: CookieMode,
    passkeys: PasskeysDep,
    response: Response,
) -> FirstPasskey | PasskeyItem:
    """Add a passkey. Without a `name` it gets that of the program or device that keeps it.

    For the first factor of the account the answer has ten recovery codes too, which are never told again, and the
    tokens of a new session: every earlier session has ended, this one too.
    """
    attestation = body.credential.attestation(body.challenge.get_secret_value())
    added = await passkeys.enrolment.add(bearer, attestation, body.name, device)
    factor = PasskeyItem.model_validate(added.factor)
    if added.tokens is None:
        return factor
    told = token_response(added.tokens, response, cookie_mode=cookie_mode)
    return FirstPasskey(**factor.model_dump(), **told.model_dump(), recovery_codes=list(added.recovery_codes))


@router.patch(
    "/auth/me/passkeys/{factor_id:uuid}", responses=problems(*BEARER, "not-found", "too-many-attempts", body=True)
)
async def rename_passkey(
    factor_id: UUID, body: PasskeyNameBody, bearer: BearerDep, passkeys: PasskeysDep
) -> PasskeyItem:
    """Give a passkey another name."""
    return PasskeyItem.model_validate(await passkeys.enrolment.rename(bearer, factor_id, body.name))


@router.delete(
    "/auth/me/password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*RECENT, "last-credential", "not-found", "too-many-attempts"),
)
async def remove_password(bearer: RecentBearer, passkeys: PasskeysDep) -> None:
    """Remove the password of an account with two passkeys, which alone sign in then. Sessions go on.

    The account gets a password again by the link of `/auth/forgot-password`, or by `POST /auth/me/password`.
    """
    await passkeys.password_removal.remove(bearer)


@router.get("/.well-known/webauthn", responses=problems("not-found"))
async def list_related_origins(services: ServicesDep, passkeys: PasskeysDep, response: Response) -> RelatedOrigins:
    """The pages that may use the passkeys of this domain from other domains."""
    response.headers["Cache-Control"] = "public, max-age=3600"
    return RelatedOrigins(origins=[origin for origin in services.settings.passkey_origins if origin.startswith("http")])
