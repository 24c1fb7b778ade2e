"""What goes in and out over HTTP. Never derived from the tables: a row holds more than a client may see or set."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from auth_service.api.schemas.fields import (
    CURSOR,
    IF_ANY,
    MAX_PER_PAGE,
    MAX_WAIT,
    Answer,
    Body,
    CombinedBody,
    CurrentPassword,
    Email,
    NewEmail,
    NewPassword,
    Parameters,
    Password,
    Rule,
    Token,
    Username,
    one_of,
)
from auth_service.database.schema import SchemaState
from auth_service.errors import FieldFault, Reason
from auth_service.models import Acr


class RegisterBody(Body):
    email: NewEmail
    password: NewPassword
    username: Annotated[Username, Rule.FIRST_USERNAME] | None = None


class LoginBody(CombinedBody):
    """Exactly one of `email` and `username`, and the password."""

    email: Email | None = None
    username: Username | None = None
    password: Password

    @classmethod
    def clashes(cls, given: Collection[str]) -> list[FieldFault]:
        return one_of(given, ("email", "username"), "an e-mail address or a username")


class RefreshTokenBody(Body):
    refresh_token: Annotated[Token | None, Field(description="Required, unless it is in the cookie")] = None


class ChangePasswordBody(Body):
    current_password: CurrentPassword = None
    new_password: NewPassword


class Account(Answer):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    username: str | None
    role: str
    is_active: bool
    is_verified: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class Accepted(Answer):
    """The request was accepted; the rest follows by e-mail."""

    status: Literal["accepted"] = "accepted"


class Tokens(Answer):
    """The answer of RFC 6749, section 5.1, with the session. Lifetimes are in seconds.

    With `X-Auth-Cookie` there is no `refresh_token`: it is in the cookie.
    """

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the type, not a token
    expires_in: int
    refresh_token: Annotated[str | None, IF_ANY] = None
    refresh_expires_in: int
    session_id: UUID


class SessionsQuery(Parameters):
    """Which sessions, and how many of them, a list tells."""

    ended: Annotated[bool, Field(description="Include ended sessions, with the reason, while kept")] = False
    limit: Annotated[int, Field(ge=1, le=MAX_PER_PAGE, description="Sessions on a page")] = 50
    cursor: Annotated[str | None, Field(pattern=CURSOR, description="`next_cursor` of the previous answer")] = None


class EndSessionsQuery(Parameters):
    current: Annotated[bool, Field(description="End the session of this request too")] = False


class DeviceSession(Answer):
    """The session of a device. `ended_at` and `ended_reason` are null while it is active.

    `user_agent` and `ip` are those of the sign-in. To its owner, `last_used_at` is in whole hours and changes only on
    the hour, so that it tells nobody when a refresh token was spent.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str | None
    ip: str | None
    ended_at: datetime | None = Field(validation_alias="revoked_at")
    ended_reason: str | None = Field(validation_alias="revoked_reason")


class SessionItem(DeviceSession):
    """A session; `current` says whether it is the one of this request."""

    current: bool


class SessionList(Answer):
    """`next_cursor` is null on the last page."""

    items: list[SessionItem]
    next_cursor: str | None


class JsonWebKeySet(Answer):
    """RFC 7517, section 5; public keys only."""

    keys: list[dict[str, str]]


class ServerMetadata(Answer):
    """RFC 8414, with `acr_values_supported` (RFC 9470, section 7), the weakest first.

    There is no authorization or token endpoint: users sign in through this service's own API.
    """

    issuer: str
    jwks_uri: str
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: list[str] = Field(["none"])
    response_types_supported: list[str] = Field([])
    grant_types_supported: list[str] = Field([])
    token_endpoint_auth_methods_supported: list[str] = Field(["none"])
    acr_values_supported: list[str] = Field(list(Acr))


class RevocationsQuery(Parameters):
    wait: Annotated[
        float,
        Field(ge=0, le=MAX_WAIT, description="Seconds to wait for a change, with If-None-Match", allow_inf_nan=False),
    ] = 0


class EndedSessionSet(Answer):
    sids: list[UUID]


class Introspection(Answer):
    """RFC 7662, section 2.2, and RFC 9470, section 6.2.

    For a token that would not be accepted, `active` is the only field.
    """

    active: bool
    iss: Annotated[str | None, IF_ANY] = None
    sub: Annotated[UUID | None, IF_ANY] = None
    aud: Annotated[str | None, IF_ANY] = None
    client_id: Annotated[str | None, IF_ANY] = None
    sid: Annotated[UUID | None, IF_ANY] = None
    roles: Annotated[list[str] | None, IF_ANY] = None
    exp: Annotated[int | None, IF_ANY] = None
    iat: Annotated[int | None, IF_ANY] = None
    jti: Annotated[str | None, IF_ANY] = None
    auth_time: Annotated[int | None, IF_ANY] = None
    acr: Annotated[str | None, IF_ANY] = None
    amr: Annotated[list[str] | None, IF_ANY] = None
    token_type: Annotated[Literal["Bearer"] | None, IF_ANY] = None


class Health(Answer):
    status: Literal["ok"] = "ok"


class Liveness(Health):
    version: Annotated[str | None, IF_ANY] = None


class Readiness(Health):
    schema_state: Annotated[SchemaState, Field(serialization_alias="schema")]
    revocations: Literal["fresh", "stale"]
    clock: Literal["together", "apart"]
    detail: Annotated[str | None, IF_ANY] = None


class FieldError(Answer):
    """What is wrong with a field. `reason` is a stable code for programs: one of these, or one that is newer.

    `detail` is a sentence for people, which a form can show; `limit` is the number in it, if a limit decides.
    """

    field: str
    reason: Reason
    detail: str
    limit: Annotated[int | None, IF_ANY] = None


class ProblemDetails(Answer):
    """RFC 9457. `code` is the stable code for programs; `error` is that of RFC 6749, for OAuth clients."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: Annotated[list[FieldError] | None, IF_ANY] = None
    error: Annotated[str | None, IF_ANY] = None
