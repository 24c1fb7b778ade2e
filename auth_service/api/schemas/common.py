"""What goes in and out over HTTP. Never derived from the tables: a row holds more than a client may see or set."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Annotated, Any, Literal, LiteralString, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from auth_service.database.schema import SchemaState
from auth_service.errors import FieldFault, Reason
from auth_service.models import Acr

# Long enough for every policy, short enough to hash.
MAX_PASSWORD = 1024
MAX_PER_PAGE = 100
MAX_WAIT = 60  # seconds
CURSOR = r"^[A-Za-z0-9_-]{32}$"
MAX_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
MAX_USERNAME = 64
# What every username keeps to, as a pattern for any language: of ASCII only letters, digits, '.', '_' and '-', the
# first a letter or a digit; blanks around it are dropped. What is not ASCII is judged by `identifiers`.
USERNAME = r"^\s*[^\x00-/:-@\[-`{-\x7f][^\x00-,/:-@\[-^`{-\x7f]*\s*$"
CHOSEN = "chosen-password"
"""Marks a field for the OpenAPI document, which tells the lengths that the settings ask for."""

REQUIRED = "This field is required."
UNCLEAN = "Must not contain NUL or a lone surrogate."
CLASH = "clash"
"""The type of error that says that fields do not go together; `Body.clashes` says which and why."""

_UNCLEAN = re.compile(r"[\x00\ud800-\udfff]")


class Rule(Enum):
    """Marks a field with what is asked of it beside its shape, which is more than its type can tell."""

    EMAIL = auto()
    NEW_EMAIL = auto()
    USERNAME = auto()
    FIRST_USERNAME = auto()
    PASSWORD = auto()
    NEW_PASSWORD = auto()


def wrong(reason: Reason, detail: LiteralString) -> PydanticCustomError:
    """What a validator raises: `detail` is a sentence for people."""
    return PydanticCustomError(reason.value, detail)


def clean(text: str) -> str:
    if _UNCLEAN.search(text):
        raise wrong(Reason.INVALID_CHARACTER, UNCLEAN)
    return text


def clean_secret(secret: SecretStr) -> SecretStr:
    clean(secret.get_secret_value())
    return secret


def secret_of(text: SecretStr | None) -> str | None:
    """Return what a field holds that may be left out."""
    return text.get_secret_value() if text is not None else None


Email = Annotated[
    str,
    Rule.EMAIL,
    Field(min_length=3, max_length=MAX_EMAIL, examples=["ada@example.com"]),
    AfterValidator(clean),
]
NewEmail = Annotated[Email, Rule.NEW_EMAIL]
Username = Annotated[
    str,
    Rule.USERNAME,
    Field(min_length=1, max_length=MAX_USERNAME, examples=["ada"], json_schema_extra={"pattern": USERNAME}),
    AfterValidator(clean),
]
Password = Annotated[
    SecretStr,
    Rule.PASSWORD,
    Field(min_length=1, max_length=MAX_PASSWORD, examples=["correct horse battery staple"]),
    AfterValidator(clean_secret),
]
NewPassword = Annotated[Password, Rule.NEW_PASSWORD, Field(json_schema_extra={"format": CHOSEN})]
Token = Annotated[SecretStr, Field(min_length=1, examples=["art_..."]), AfterValidator(clean_secret)]


def _is_none(value: object) -> bool:
    return value is None


def _is_never_null(schema: dict[str, Any]) -> None:
    schema.pop("default", None)
    [told] = [kind for kind in schema.pop("anyOf") if kind.get("type") != "null"]
    schema.update(told)


IF_ANY = Field(exclude_if=_is_none, json_schema_extra=_is_never_null)
"""A field of an answer that is left out where there is nothing to tell, and never null."""


class Answer(BaseModel):
    """The fields of an answer. What writes them is built for the first one that is sent, and not at every start."""

    model_config = ConfigDict(defer_build=True, json_schema_serialization_defaults_required=True)


class Body(BaseModel):
    """A body from outside: exact types, no unknown fields, and no value in any error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @classmethod
    def clashes(cls, _given: Collection[str]) -> list[FieldFault]:
        """Return what is wrong with the fields that are given, which are right or wrong by themselves: beside others,
        or without them.
        """
        return []


class Parameters(BaseModel):
    """The query parameters of a route: no unknown ones, and no value in any error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class CombinedBody(Body):
    """A body of which some fields do not go together, or only together."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.clashes([name for name, value in self.__dict__.items() if value is not None]):
            raise PydanticCustomError(CLASH, CLASH)
        return self


def one_of(given: Collection[str], names: Sequence[str], what: str) -> list[FieldFault]:
    """The faults if not exactly one of the fields is given; `what` is their names for people."""
    found = [name for name in names if name in given]
    if len(found) == 1:
        return []
    if not found:
        return [FieldFault(name, Reason.REQUIRED, f"Give {what}.") for name in names]
    return [FieldFault(name, Reason.NOT_TOGETHER, f"Give {what}: only one of them.") for name in found]


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


CurrentPassword = Annotated[Password | None, Field(description="Required, unless the account has no password")]


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
    revocation_endpoint_auth_methods_supported: list[str] = ["none"]
    response_types_supported: list[str] = []
    grant_types_supported: list[str] = []
    token_endpoint_auth_methods_supported: list[str] = ["none"]
    acr_values_supported: list[str] = list(Acr)


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
