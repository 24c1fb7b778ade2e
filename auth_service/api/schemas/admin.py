"""What goes in and out of `/admin/users`."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationInfo

from auth_service.api.schemas.accounts import Account
from auth_service.api.schemas.factors import FactorItem
from auth_service.api.schemas.fields import (
    CURSOR,
    MAX_EMAIL,
    MAX_PER_PAGE,
    Answer,
    Body,
    NewEmail,
    Parameters,
    Username,
    clean,
    wrong,
)
from auth_service.api.schemas.links import DelayedChange, PendingEmail
from auth_service.api.schemas.sessions import DeviceSession
from auth_service.errors import Reason
from auth_service.models import Role

MAX_PAGE = 100_000
ROLE = r"^[a-z][a-z0-9_.:-]{0,63}$"
NO_TIME = "Must be a time with a time zone, such as 2026-01-31T12:00:00Z."
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise wrong(Reason.INVALID_FORMAT, "Must be in the years 1 to 9999 in UTC.") from None


def _as_text(moment: object) -> object:
    """A number would be taken for seconds or milliseconds, whichever looks right."""
    if not isinstance(moment, str) or not _RFC_3339.fullmatch(moment):
        raise wrong(Reason.INVALID_FORMAT, NO_TIME)
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text), AfterValidator(_in_utc)]
Fragment = Annotated[str, Field(min_length=3, max_length=MAX_EMAIL, examples=["ada"]), AfterValidator(clean)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_EMAIL, examples=["ada@example.com"]), AfterValidator(clean)]


def _instead_of_a_page(cursor: str | None, others: ValidationInfo) -> str | None:
    if cursor is not None and others.data.get("page") is not None:
        raise wrong(Reason.NOT_TOGETHER, "Give a page or a cursor, not both.")
    return cursor


class UserQuery(Parameters):
    """Filters of a list of users. A user must match all that are given."""

    q: Annotated[Fragment | None, Field(description="Part of the e-mail address or username")] = None
    name: Annotated[Name | None, Field(description="The whole e-mail address or username")] = None
    role: Annotated[str | None, Field(pattern=ROLE, description="`user`, `admin` or an imported role")] = None
    is_active: bool | None = None
    is_verified: bool | None = None
    created_from: Annotated[Moment | None, Field(description="Created at this time or later")] = None
    created_to: Annotated[Moment | None, Field(description="Created before this time")] = None
    page: Annotated[int | None, Field(ge=1, le=MAX_PAGE, description="1 by default, unless a cursor is given")] = None
    per_page: Annotated[int, Field(ge=1, le=MAX_PER_PAGE)] = 50
    cursor: Annotated[
        str | None,
        Field(pattern=CURSOR, description="`next_cursor` of the previous answer, instead of a page"),
        AfterValidator(_instead_of_a_page),
    ] = None


class UserList(Answer):
    """Newest first. `total`, `page` and `pages` are null with a cursor; `next_cursor` is null at the end."""

    items: list[Account]
    total: int | None
    total_is_estimate: bool
    page: int | None
    per_page: int
    pages: int | None
    next_cursor: str | None


class UserCounts(Answer):
    """`estimated` names the counts that are estimates, because counting would take too long."""

    active: int
    disabled: int
    unverified: int
    recently_seen: int
    total: int
    estimated: list[str]


class ManagedSession(DeviceSession):
    """A session as an administrator sees it: `last_used_at` is exact, and the last refresh has a place, if known."""

    last_user_agent: str | None
    last_ip: str | None


class AccountWithSessions(Account):
    """`pending_email` is the address that an administrator asked for, and `pending_factors_reset` a reset of the second
    factors, until they take effect.

    `next_cursor` goes on with the sessions; it is null at their end.
    """

    pending_email: PendingEmail | None = None
    pending_factors_reset: DelayedChange | None = None
    factors: list[FactorItem]
    sessions: list[ManagedSession]
    next_cursor: str | None


class CreateUserBody(Body):
    email: NewEmail
    username: Username | None = None
    role: Annotated[Role, Field(strict=False, examples=["user"])] = Role.USER


class ChangeRoleBody(Body):
    role: Annotated[Role, Field(strict=False, examples=["user"])]


class DelayedEmailBody(Body):
    email: NewEmail


class EndedSessions(Answer):
    ended: int
