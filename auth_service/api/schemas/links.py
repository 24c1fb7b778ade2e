"""Bodies and answers of the routes for links in e-mails."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from auth_service.api.schemas.common import Body, Email, Password, clean_secret

LinkToken = Annotated[
    SecretStr, Field(min_length=1, max_length=256, examples=["lnk_..."]), AfterValidator(clean_secret)
]


class EmailBody(Body):
    email: Email


class LinkBody(Body):
    token: LinkToken


class ResetPasswordBody(Body):
    token: LinkToken
    new_password: Password


class ChangeEmailBody(Body):
    new_email: Email
    current_password: Password


class EmailChangeState(BaseModel):
    """`waiting` for the link sent to the other address, or `changed`."""

    status: Literal["waiting", "changed"]
