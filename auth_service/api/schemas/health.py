"""Answers of the health checks."""

from typing import Annotated, Literal

from pydantic import Field

from auth_service.api.schemas.fields import IF_ANY, Answer
from auth_service.database.schema import SchemaState


class Health(Answer):
    status: Literal["ok"] = "ok"


class Liveness(Health):
    version: Annotated[str | None, IF_ANY] = None


class Readiness(Health):
    schema_state: Annotated[SchemaState, Field(serialization_alias="schema")]
    revocations: Literal["fresh", "stale"]
    clock: Literal["together", "apart"]
    detail: Annotated[str | None, IF_ANY] = None
