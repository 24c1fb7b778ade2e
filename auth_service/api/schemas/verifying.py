"""What services that verify tokens ask and get: keys, metadata, ended sessions, and introspection."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from auth_service.api.schemas.fields import IF_ANY, MAX_WAIT, Answer, Parameters
from auth_service.models import Acr


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
