"""What is fuzzed: the OpenAPI document, the server that must keep to it, and an account that is signed in."""

import os
import re
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Self, TypeVar

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.client import PASSWORD
from tests.support.document import document
from tests.support.raw_http import Answer, exchange
from tests.support.server import Server

# How many requests of each kind every route gets. In CI they are the same ones each time; `make fuzz` draws others.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
REPEATABLE = "FUZZ_EXAMPLES" not in os.environ
INTERNAL_TOKEN = "bjN2ZXIgdXNlZCBvdXRzaWRlIG9mIHRlc3Rz"

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

Result = TypeVar("Result")

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=REPEATABLE,
    database=None,
    deadline=None,  # a busy machine is no finding
    suppress_health_check=list(HealthCheck),
)


def _read_document() -> Any:
    config = schemathesis.Config(seed=1 if REPEATABLE else None)
    project = config.projects.default
    # False credentials are the business of `test_corpus.py`; here each request has true ones, and then none.
    project.generation.update(max_examples=EXAMPLES, deterministic=REPEATABLE, with_security_parameters=False)
    # Parameters that the document does not know are refused by routes that have some, and ignored by the others.
    project.generation.allow_extra_parameters = False
    # The policies for passwords and addresses refuse what is well formed, by a 422 that is documented, and a 400
    # refuses what looks like the token of a link.
    acceptance = project.checks.positive_data_acceptance
    acceptance.expected_statuses = [*acceptance.expected_statuses, "400", "422"]
    # What is not as the document says may also be too large to be read.
    rejection = project.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]
    return schemathesis.openapi.from_dict(document(), config=config)


SCHEMA = _read_document()
OPERATIONS: dict[str, Any] = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


class Target:
    """The server under fire. Its account is a new one after a request has ended the session of the last."""

    def __init__(self, server: Server) -> None:
        self._base_url = server.base_url
        self._port = server.port
        self._http = httpx.Client(base_url=server.base_url, trust_env=False, timeout=30)
        self._numbers = count()
        self._tokens: dict[str, Any] = {}
        self._doubtful = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def tokens(self) -> dict[str, Any]:
        """The tokens of an account whose session lives."""
        if self._doubtful and not self.lives():
            who = {"email": f"user{next(self._numbers)}@example.com", "password": PASSWORD}
            self._ask("POST", "/auth/register", json=who).raise_for_status()
            self._tokens = self._ask("POST", "/auth/login", json=who).raise_for_status().json()
        self._doubtful = False
        return self._tokens

    def lives(self) -> bool:
        """Whether the session of those tokens lives."""
        headers = {"Authorization": f"Bearer {self._tokens.get('access_token')}"}
        return self._ask("GET", "/auth/me", headers=headers).status_code == httpx.codes.OK

    def credentials(self) -> dict[str, str]:
        """The headers of somebody who may use every route."""
        return {"Authorization": f"Bearer {self.tokens()['access_token']}", "X-Internal-Token": INTERNAL_TOKEN}

    def judge(self, case: schemathesis.Case[Any]) -> None:
        """Send what schemathesis made, with true credentials, and apply all of its checks to the answer."""
        headers = self.credentials()
        answer = _patiently(lambda: case.call(self._base_url, headers=headers))
        self._heed(answer.status_code)
        where = {"base_url": self._base_url, "headers": headers}
        case.validate_response(answer, headers=headers, transport_kwargs=where)

    def send(self, label: str, headers: Mapping[str, bytes], body: bytes = b"", path: str | None = None) -> Answer:
        """Send exactly these bytes to an operation and return the answer; fail if it is not documented."""
        method, _, template = label.partition(" ")
        fields = {"Host": b"auth.example", "Content-Length": b"%d" % len(body), **headers}
        head = [b"%s: %s" % (name.encode(), value) for name, value in fields.items()]
        lines = [f"{method} {path or template} HTTP/1.1".encode(), *head, b"", body]
        answer = _patiently(lambda: exchange(self._port, b"\r\n".join(lines)))
        self._heed(answer.status)
        self._require_documented(label, answer)
        return answer

    def _heed(self, status: int) -> None:
        """Look at the session again after an answer that may have ended it, or that says so."""
        self._doubtful |= status in {204, 401}

    def _require_documented(self, label: str, answer: Answer) -> None:
        method, _, template = label.partition(" ")
        request = requests.Request(method, self._base_url + template).prepare()
        headers = {name: [value] for name, value in answer.headers.items()}
        response = schemathesis.Response(answer.status, headers, answer.body, request, elapsed=0, verify=False)
        parameters = dict.fromkeys(re.findall(r"{(\w+)}", template), "0")
        OPERATIONS[label].Case(path_parameters=parameters).validate_response(response, checks=CHECKS)

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return _patiently(lambda: self._http.request(method, path, **arguments))


def _patiently(call: Callable[[], Result]) -> Result:
    """Try again, as a client does, while a busy machine makes the service say 503; a fault of ours stays one."""
    for _ in range(10):
        answer = call()
        if getattr(answer, "status_code", None) != 503 and getattr(answer, "status", None) != 503:
            break
        time.sleep(0.2)
    return answer
