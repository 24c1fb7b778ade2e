"""The OpenAPI document of the service under test."""

from functools import cache
from typing import Any

from auth_service.main import create_app
from tests.conftest import make_settings


@cache
def document() -> dict[str, Any]:
    return create_app(make_settings("sqlite+aiosqlite://")).openapi()
