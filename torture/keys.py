"""The signing keys in the nemesis's hands. Time is made to pass by dating rows back, never further than is honest."""

import contextlib
from random import Random

from torture.world import DATABASE, World

# Every process reads the keys every 2 s, and again after an outage of a few: by now each has read this one.
PUBLISHED_FOR = "20 seconds"


class KeyRoom:
    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng

    def rotate(self) -> str:
        """Publish a key and return its kid; RuntimeError if one is pending already."""
        return self._world.command("keys", "rotate").removeprefix("published: ")

    def age(self) -> None:
        """Let the waiting times of keys be over, of a retired one only when all that it signed has expired."""
        settings = self._world.settings
        expired = f"{settings.access_lifetime + settings.leeway + 5} seconds"
        self._world.cluster.execute(
            "UPDATE signing_keys SET created_at = created_at - interval '6 minutes'"
            f" WHERE state = 'pending' AND created_at < now() - interval '{PUBLISHED_FOR}';"
            "UPDATE signing_keys SET retired_at = retired_at - interval '12 minutes'"
            f" WHERE state = 'retired' AND retired_at < now() - interval '{expired}'",
            DATABASE,
        )

    def revoke(self) -> str:
        """Revoke one of the keys that sign or verify and return its kid, also if nobody knows whether it was done."""
        listed = self._world.cluster.execute(
            "SELECT kid FROM signing_keys WHERE state <> 'pending' ORDER BY created_at", DATABASE
        )
        kid = self._rng.choice(listed.split())
        with contextlib.suppress(RuntimeError):
            self._world.command("keys", "revoke", kid)
        return kid
