"""The roles that this service knows. Accounts may have other ones, which were imported and mean something elsewhere."""

from enum import StrEnum


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"  # looks after other people's accounts
