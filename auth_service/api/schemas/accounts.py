"""Bodies and answers about accounts: registration, a new password, and the account itself."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict

from auth_service.api.schemas.fields import Answer, Body, CurrentPassword, NewEmail, NewPassword, Rule, Username


class RegisterBody(Body):
    email: NewEmail
    password: NewPassword
    username: Annotated[Username, Rule.FIRST_USERNAME] | None = None


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
