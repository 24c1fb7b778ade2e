"""A new password: held to the policy, and hashed in the lane."""

from collections.abc import Iterable

from auth_service.security.passwords.hashing import Passwords
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.passwords.policy import PasswordPolicy


class NewPasswords:
    def __init__(self, policy: PasswordPolicy, passwords: Passwords, lane: HashingLane) -> None:
        self._policy = policy
        self._passwords = passwords
        self.lane = lane

    def accept(self, field: str, password: str, names: Iterable[str | None]) -> str:
        """Return the password as it is to be hashed; raises `InvalidPassword`, as the policy does."""
        return self._policy.accept(field, password, names)

    async def hash(self, accepted: str) -> str:
        """Return the hash of what was accepted; raises `HashingOverloaded`."""
        return await self.lane.run(lambda: self._passwords.hash(accepted))
