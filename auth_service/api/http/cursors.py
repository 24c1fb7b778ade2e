"""Where a list goes on, as a word that means nothing to clients: the time and the id of the last item they had."""

import base64
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from auth_service.errors import InvalidInput, Reason
from auth_service.models import Page, Position

NOT_OURS = "Must be the next_cursor of a previous answer."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = struct.Struct(">q16s")  # microseconds, and the id


def write(position: Position) -> str:
    """Return the cursor of a position."""
    created_at, item_id = position
    microseconds = (created_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_FORM.pack(microseconds, item_id.bytes)).decode()


def of_next(page: Page[Any]) -> str | None:
    """Return the cursor of the page behind this one; None if it is the last."""
    return write(page.next) if page.next else None


def read(cursor: str) -> Position:
    """Return the position of 32 characters of base64url; raises `InvalidInput` if it is none of ours."""
    microseconds, raw = _FORM.unpack(base64.urlsafe_b64decode(cursor))
    try:
        return _EPOCH + timedelta(microseconds=microseconds), UUID(bytes=raw)
    except OverflowError:
        raise InvalidInput("cursor", Reason.INVALID_FORMAT, NOT_OURS) from None
