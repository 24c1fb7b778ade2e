"""Accounts as a service of before 0015 writes them, and what gives their names skeletons."""

from typing import Any
from uuid import uuid4

from auth_service.repositories.database import Database
from auth_service.services.operations.usernames import Usernames

from .client import PASSWORD, Client
from .outbox import services_of
from .polling import eventually
from .sql import run_sql

OLD = (
    "INSERT INTO users (id, email, email_canonical, username, username_canonical, hashed_password, role, is_active,"
    " is_verified, credential_epoch, created_at, updated_at)"
    " SELECT $1, $2, $2, $3, $3, hashed_password, role, is_active, is_verified, 0, created_at, updated_at"
    " FROM users WHERE email = 'ada@example.com'"
)


async def add_as_an_older_service(url: str, name: str) -> None:
    """Register a username beside ada@example.com, with the same password."""
    id_: Any = uuid4()
    await run_sql(url, OLD, id_.hex if url.startswith("sqlite") else id_, f"{id_.hex}@example.com", name)


async def fill_skeletons(client: Client) -> None:
    """Do what the schedule does every minute, and wait for the rows that it is at itself just now."""
    database = services_of(client).gauges.database
    await Usernames(database).fill_skeletons()
    await eventually(has_all_skeletons, database)


async def has_all_skeletons(database: Database) -> bool:
    async with database.statement() as tx:
        return not await tx.skeletons.lacks_any()


async def sign_in_by_name(client: Client, name: str) -> int:
    """Return the status of the answer."""
    return (await client.post("/auth/login", json={"username": name, "password": PASSWORD})).status_code
