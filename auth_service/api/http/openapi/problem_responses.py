"""The answers with problems, as the OpenAPI document has them: each kind stands once, with examples."""

from collections.abc import Mapping, Sequence
from typing import Any

from auth_service.api.http.openapi import CODES
from auth_service.api.http.problems.table import PROBLEMS
from auth_service.api.schemas.examples import MEMBERS
from auth_service.api.schemas.factors import (
    EnrolmentRequiredProblem,
    InvalidCredentialsProblem,
    SecondFactorRequiredProblem,
    StepUpProblem,
)
from auth_service.api.schemas.links import InvalidLinkProblem
from auth_service.api.schemas.problems import ProblemDetails

_SECONDS = {
    "description": "Seconds to wait before trying again",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE = {
    "description": "RFC 6750, section 3",
    "required": True,
    "schema": {"type": "string", "pattern": "^Bearer"},
}
_HEADERS = {
    401: {"headers": {"WWW-Authenticate": _CHALLENGE}},
    429: {"headers": {"Retry-After": _SECONDS}},
    503: {"headers": {"Retry-After": _SECONDS}},
}
WITH_MEMBERS: dict[str, type[ProblemDetails]] = {
    "invalid-credentials": InvalidCredentialsProblem,
    "invalid-link": InvalidLinkProblem,
    "second-factor-required": SecondFactorRequiredProblem,
    "second-factor-enrolment-required": EnrolmentRequiredProblem,
    "step-up-required": StepUpProblem,
}
"""The problems that tell more than all do."""


def share(paths: Mapping[str, Any], base_url: str) -> dict[str, dict[str, Any]]:
    """Let operations refer to their answers with problems, and return the components that those are."""
    shared = {}
    for operation in (operation for operations in paths.values() for operation in operations.values()):
        for status, response in operation["responses"].items():
            if codes := response.get(CODES):
                name = ".".join(codes)
                shared[name] = (int(status), codes)
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    told = sorted({code for _, codes in shared.values() for code in codes})
    return {
        "responses": {name: _response(*shared[name]) for name in sorted(shared)},
        "examples": {code: _example(code, base_url) for code in told},
    }


def _response(status: int, codes: Sequence[str]) -> dict[str, Any]:
    """One response. The schema that takes any code comes last, also a new one: clients try them in turn."""
    names = sorted(WITH_MEMBERS[code].__name__ for code in codes if code in WITH_MEMBERS)
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in (*names, ProblemDetails.__name__)]
    content = {
        "schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas},
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
    }
    return {
        "description": "\n\n".join(f"`{code}`: {PROBLEMS[code].explanation}" for code in codes),
        "content": {"application/problem+json": content},
        **_HEADERS.get(status, {}),
    }


def _example(code: str, base_url: str) -> dict[str, Any]:
    problem = PROBLEMS[code]
    told = {
        "type": f"{base_url}/problems/{code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.explanation,
        "code": code,
        "request_id": "0199aa4c-5f3e-7c1d-8a2b-3c4d5e6f7a8b",
        **MEMBERS.get(code, {}),
    }
    return {"summary": problem.title, "value": told}
