"""How fast something may be repeated, kept in this process's memory alone: it costs no database."""

import time
from collections import OrderedDict

MOST_REMEMBERED = 20_000


class TokenBuckets:
    """A token bucket for each key: `per_minute` at once, and again as many spread over each minute."""

    def __init__(self, per_minute: int) -> None:
        self._interval = 60 / per_minute
        self._empty_after = 60 - self._interval / 2  # half an interval, so that rounding never costs one
        self._full_at: OrderedDict[bytes, float] = OrderedDict()
        self._told: set[bytes] = set()

    def take(self, key: bytes) -> float:
        """Take one from the bucket of `key`; return 0, or the seconds until there is one again."""
        now = time.monotonic()
        self._forget(now)
        full_at = max(self._full_at.pop(key, now), now)
        if full_at == now:
            self._told.discard(key)
        late = full_at - now > self._empty_after
        self._full_at[key] = full_at if late else full_at + self._interval
        return full_at - now - self._empty_after if late else 0.0

    def is_news(self, key: bytes) -> bool:
        """Whether the bucket of `key` is empty for the first time since it was full."""
        known = key in self._told
        self._told.add(key)
        return not known

    def _forget(self, now: float) -> None:
        """Drop full buckets, and the one that was used longest ago when there are too many; two at a time will do."""
        for _ in range(2):
            if not self._full_at:
                return
            key, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) < MOST_REMEMBERED:
                return
            del self._full_at[key]
            self._told.discard(key)
