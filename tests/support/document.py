"""The OpenAPI document of the service under test."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from auth_service.main import create_app
from tests.conftest import make_settings


@cache
def document() -> dict[str, Any]:
    return create_app(make_settings("sqlite+aiosqlite://")).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each operation."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or what it refers to."""
    found: dict[str, Any] = document() if "$ref" in part else part
    for name in part.get("$ref", "#").split("/")[1:]:
        found = found[name]
    return found
