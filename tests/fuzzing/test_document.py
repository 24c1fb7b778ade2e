"""Every answer is one that the OpenAPI document promises, whatever is sent: schemathesis against a real server.

It sends what the document allows and what it forbids, methods that it does not name, and the same without credentials.
Its checks: no 5xx; the status, the media type, the headers and the body are documented; what is allowed is taken, and
what is forbidden is refused; credentials that the document asks for are needed.
"""

from typing import Any

from schemathesis import Case

from tests.fuzzing.target import SCHEMA, Target


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]  # the document is made at run time
def test_every_answer_is_as_the_document_says(case: Case[Any], target: Target) -> None:
    target.judge(case)
