"""What access tokens say, and how long they and refresh tokens are good: `AUTH_TOKENS__*`."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from auth_service.settings.origins import check_issuer
from auth_service.settings.values import LONGEST, ZERO, Duration, Group, written_as

MAX_ACCESS_LIFETIME = timedelta(minutes=10)

# RFC 7519, section 2: any text, and a URI if there is a ':' in it.
StringOrUri = Annotated[
    str,
    Field(max_length=255),
    written_as(r"[!-9;-~]+|[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", "must be visible ASCII characters, and a URI with any ':'"),
]
# RFC 8414, section 2: without a query and a fragment. What the service could not have as its URL, verifiers refuse.
IssuerName = Annotated[StringOrUri, AfterValidator(check_issuer)]
ClientId = Annotated[str, written_as(r"[ -~]+", "must be printable ASCII characters (RFC 6749, appendix A.1)")]


class TokenSettings(Group):
    issuer: IssuerName | None = None
    audience: StringOrUri | None = None
    client_id: ClientId = Field("first-party", min_length=1, max_length=100)
    access_lifetime: Duration = Field(timedelta(minutes=5), ge=timedelta(seconds=1), le=MAX_ACCESS_LIFETIME)
    leeway: Duration = Field(timedelta(seconds=5), ge=ZERO, le=timedelta(minutes=1))
    refresh_grace: Duration = Field(timedelta(seconds=30), ge=ZERO, le=timedelta(minutes=1))
    refresh_idle_lifetime: Duration = Field(timedelta(days=14), ge=timedelta(seconds=1))
    refresh_absolute_lifetime: Duration = Field(timedelta(days=30), ge=timedelta(seconds=1), le=LONGEST)
