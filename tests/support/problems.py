"""What every error has in common, whoever made it: the app, the framework or the server under both."""

import httpx

from tests.support.headers import assert_security_headers
from tests.support.raw_http import Answer

PUBLIC_URL = "http://127.0.0.1:8000"  # the default of AUTH_PUBLIC_URL


def assert_problem(answer: httpx.Response | Answer, status: int, code: str, public_url: str = PUBLIC_URL) -> None:
    """Fail unless the answer is the problem `code` as RFC 9457 and API.md describe it."""
    found = answer.status if isinstance(answer, Answer) else answer.status_code
    problem = answer.json()
    assert (found, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"{public_url}/problems/{code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert ("errors" in problem) == (status == 422)
    assert_security_headers(answer.headers)
    _assert_headers(status, code, answer)


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    """The field and the reason of each fault, as far as the answer is one that tells some."""
    return [(fault["field"], fault["reason"]) for fault in answer.json().get("errors", ())]


def _assert_headers(status: int, code: str, answer: httpx.Response | Answer) -> None:
    assert answer.headers["cache-control"] == "no-store"
    challenged = status == 401 or code == "insufficient-role"
    assert answer.headers.get("www-authenticate", "").startswith("Bearer") == challenged
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    assert ("allow" in answer.headers) == (status == 405)
    assert int(answer.headers.get("retry-after", "1")) > 0
