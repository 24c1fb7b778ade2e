"""What the document says about each operation, for those who make requests by hand."""

import json
from typing import Any

from tests.fuzzing.target import OPERATIONS
from tests.support.document import document

LABELS = sorted(OPERATIONS)
REFRESH_TOKEN = '"(refresh token)"'  # stands for the living one, which is not known when a body is drawn


def operation(label: str) -> dict[str, Any]:
    method, _, path = label.partition(" ")
    found: dict[str, Any] = document()["paths"][path][method.lower()]
    return found


def guarded_by(scheme: str) -> list[str]:
    """The operations that ask for credentials of this kind."""
    return [label for label in LABELS if {scheme: []} in operation(label).get("security", [])]


def open_without(label: str) -> bool:
    """Whether the operation asks for no credentials, and tells more to whoever has some."""
    return {} in operation(label).get("security", [])


def parameters(label: str) -> list[str]:
    return [parameter["name"] for parameter in operation(label).get("parameters", ())] or ["x"]


def path(label: str, text: str = "0") -> str:
    """A path of the operation, with this text for its parameter."""
    before, parameter, rest = label.partition(" ")[2].partition("{")
    return before + text + rest.partition("}")[2] if parameter else before


def good_fields(label: str) -> dict[str, str]:
    """The fields of an operation's body as raw JSON, each with the document's example."""
    content = operation(label).get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    fields = document()["components"]["schemas"].get(reference.rpartition("/")[2], {}).get("properties", {})
    return {name: REFRESH_TOKEN if name == "refresh_token" else json.dumps(_example(fields[name])) for name in fields}


def _example(field: dict[str, Any]) -> Any:
    found = [example for part in (field, *field.get("anyOf", ())) for example in part.get("examples", ())]
    return found[0] if found else "x"
