"""Which passwords are taken, and how they are hashed: `AUTH_PASSWORD__*` and `AUTH_HASHING__*`."""

from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from auth_service.blocklist import is_table
from auth_service.settings.values import SHORTEST_WAIT, Duration, Group, readable_file

FIREBASE_KEY_BYTES = 32
LEAST_MEMORY_PER_LANE = 8  # KiB: RFC 9106, section 3.1


class PasswordSettings(Group):
    min_length: int = Field(15, ge=8, le=64)
    max_length: int = Field(256, ge=64, le=1024)
    argon2_memory_kib: int = Field(19456, ge=64, le=4 * 1024 * 1024)
    argon2_time_cost: int = Field(2, ge=1, le=100)
    argon2_parallelism: int = Field(1, ge=1, le=64)
    blocklist: Path | None = None
    firebase_signer_key: SecretStr | None = None
    imported_pepper: SecretStr | None = Field(None, min_length=1)

    @field_validator("blocklist")
    @classmethod
    def _can_be_read(cls, path: Path | None) -> Path | None:
        if path is not None:
            is_table(readable_file(path))
        return path

    @field_validator("firebase_signer_key")
    @classmethod
    def _is_base64(cls, key: SecretStr | None) -> SecretStr | None:
        try:
            found = key and b64decode(key.get_secret_value(), validate=True)
        except ValueError:
            found = b""
        if found is not None and len(found) < FIREBASE_KEY_BYTES:
            raise ValueError("must be the base64_signer_key of the Firebase project")
        return key

    @model_validator(mode="after")
    def _argon2_can_be_computed(self) -> Self:
        if self.argon2_memory_kib < (least := LEAST_MEMORY_PER_LANE * self.argon2_parallelism):
            raise ValueError(
                f"must have an AUTH_PASSWORD__ARGON2_MEMORY_KIB of at least {least}: {LEAST_MEMORY_PER_LANE} times "
                "AUTH_PASSWORD__ARGON2_PARALLELISM"
            )
        return self


class HashingSettings(Group):
    """The lane that password hashing has to itself. `threads` follow the container's limits unless set."""

    threads: int | None = Field(None, ge=1, le=256)
    queue: int = Field(500, ge=0, le=10_000)
    deadline: Duration = Field(timedelta(seconds=2), ge=SHORTEST_WAIT, le=timedelta(seconds=30))
