"""Bodies and answers of the routes for links in e-mails."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from auth_service.api.schemas.fields import (
    Answer,
    Body,
    CombinedBody,
    CurrentPassword,
    Email,
    NewEmail,
    NewPassword,
    Password,
    clean_secret,
)
from auth_service.api.schemas.problems import ProblemDetails
from auth_service.errors import FieldFault, LinkFault, Reason
from auth_service.models import PendingChange

LinkToken = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=2048,
        examples=["lnk_..."],
        description="The token of the link, the code of the same e-mail as somebody typed it, or the whole link",
    ),
    AfterValidator(clean_secret),
]


class EmailBody(Body):
    email: Email


class LinkBody(Body):
    token: LinkToken


class ConfirmEmailBody(Body):
    token: LinkToken
    password: Annotated[Password | None, Field(description="The password of the account, unless its bearer asks")] = (
        None
    )


class VerifyEmailBody(ConfirmEmailBody, CombinedBody):
    """At most one of `password` and `new_password`."""

    new_password: Annotated[
        NewPassword | None, Field(description="In place of the password, which stops working; all sessions end")
    ] = None

    @classmethod
    def clashes(cls, given: Collection[str]) -> list[FieldFault]:
        both = ("password", "new_password")
        sentence = "Give the password or a new one, not both."
        return [FieldFault(name, Reason.NOT_TOGETHER, sentence) for name in both] if set(both) <= set(given) else []


class ResetPasswordBody(Body):
    token: LinkToken
    new_password: NewPassword


class ChangeEmailBody(Body):
    new_email: NewEmail
    current_password: CurrentPassword = None


class InvalidLinkProblem(ProblemDetails):
    """Why the link is good for nothing. With `needs-passkey` it is good, and sets no password for this account."""

    code: Literal["invalid-link"]
    reason: LinkFault


class EmailChangeState(Answer):
    """`waiting` for the link sent to the other address, or `changed`."""

    status: Literal["waiting", "changed"]


class DelayedChange(Answer):
    """The earliest time when a change takes effect, unless it is stopped."""

    model_config = ConfigDict(from_attributes=True)

    effective_at: datetime

    @classmethod
    def of(cls, pending: PendingChange | None) -> Self | None:
        return cls.model_validate(pending) if pending else None


class PendingEmail(DelayedChange):
    """The address that an account is to have."""

    email: str = Field(validation_alias="new_email")
