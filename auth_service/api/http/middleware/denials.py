"""Who was denied access, for the log: the first of a kind at once, then a line a minute with how many there were.

Of which kind a denial is, is said by its code and its reason, so there are as many as we have words, and a flood of
them is a line a minute.
"""

import asyncio
from contextvars import Context
from typing import Any, TypeAlias

import structlog
from starlette.types import Scope

from auth_service.api.http.middleware.heavy_hitters import HeavyHitters
from auth_service.api.requests.client import address_of
from auth_service.errors import AccessDenied, Denial, InvalidInternalToken, Refused
from auth_service.logs import USER_ID
from auth_service.settings import ProxySettings

log = structlog.get_logger()

MINUTE = 60.0  # seconds
MOST_NAMED = 10  # addresses, users and paths that a line names, each with its number: those that come most often
_USUAL = {
    Denial.MISSING,
    Denial.EXPIRED,
    Denial.ENDED,
    Denial.STEP_UP,
    Denial.FACTOR,
}  # what befalls clients that do nothing wrong

Kind: TypeAlias = tuple[str, str]


class _Counts:
    """The denials of one kind since its last line."""

    def __init__(self) -> None:
        self.count = 0
        self._seen = {"addresses": HeavyHitters(), "users": HeavyHitters(), "paths": HeavyHitters()}

    def add(self, address: str | None, user: str | None, path: str | None) -> None:
        self.count += 1
        for seen, value in zip(self._seen.values(), (address, user, path), strict=True):
            if value is not None:
                seen.add(value)

    def told(self) -> dict[str, Any]:
        """What the line says: who and what came most often, and how many denials were of others."""
        fields: dict[str, Any] = {"count": self.count}
        for name, seen in self._seen.items():
            fields[name], others = seen.heaviest(MOST_NAMED)
            if others:
                fields[f"other_{name}"] = others
        return fields


class Denials:
    """Counts and tells them, those of this process. `minute` is in seconds."""

    def __init__(self, proxy: ProxySettings, minute: float = MINUTE) -> None:
        self._proxy = proxy
        self._minute = minute
        self._kinds: dict[Kind, _Counts] = {}
        self._timers: dict[Kind, asyncio.TimerHandle] = {}

    def record(self, refused: Refused, scope: Scope) -> None:
        """If a request was denied access, tell of it, or count it if its kind was told of within the minute."""
        if not isinstance(refused, AccessDenied):
            return
        kind = (refused.code, refused.reason)
        address, user_id = address_of(scope, self._proxy), refused.user_id or USER_ID.get()
        user, path = str(user_id) if user_id else None, getattr(scope.get("route"), "path", None)
        if kind in self._kinds:
            self._kinds[kind].add(address, user, path)
            return
        known = {"ip": address, "user_id": user, "path": path}
        _tell(kind, **{name: value for name, value in known.items() if value is not None})
        self._begin(kind)

    @property
    def is_counting(self) -> bool:
        """Whether anything was denied in the last minute."""
        return bool(self._kinds)

    def close(self) -> None:
        """Tell of what was counted and not told yet."""
        for timer in self._timers.values():
            timer.cancel()
        for kind in list(self._kinds):
            self._end(kind)

    def _begin(self, kind: Kind) -> None:
        self._kinds[kind] = _Counts()
        # In a context of its own: the line is not of the request that happened to be the first.
        self._timers[kind] = asyncio.get_running_loop().call_later(self._minute, self._go_on, kind, context=Context())

    def _go_on(self, kind: Kind) -> None:
        if self._end(kind):
            self._begin(kind)

    def _end(self, kind: Kind) -> bool:
        """Tell what was counted, and whether there was anything."""
        del self._timers[kind]
        counts = self._kinds.pop(kind)
        if counts.count:
            _tell(kind, **counts.told())
        return counts.count > 0


def _tell(kind: Kind, **fields: Any) -> None:
    code, reason = kind
    is_usual = reason in _USUAL and code != InvalidInternalToken.code
    tell = log.info if is_usual else log.warning
    tell("access.denied", code=code, reason=str(reason), **fields)
