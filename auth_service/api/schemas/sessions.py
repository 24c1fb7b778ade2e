"""Bodies and answers of sign-in, tokens and signed-in devices."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from auth_service.api.schemas.fields import (
    CURSOR,
    IF_ANY,
    MAX_PER_PAGE,
    Answer,
    Body,
    CombinedBody,
    Email,
    Parameters,
    Password,
    Token,
    Username,
    one_of,
)
from auth_service.errors import FieldFault


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
