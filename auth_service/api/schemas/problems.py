"""Problem documents: the answers of all refusals and faults."""

from typing import Annotated

from auth_service.api.schemas.fields import IF_ANY, Answer
from auth_service.errors import Reason


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
