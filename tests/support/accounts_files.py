"""Files of accounts, for an operator to import, and what comes out again."""

import json
from typing import Any

import bcrypt

from tests.support.client import PASSWORD
from tests.support.operator import Operator

HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def lines(*accounts: dict[str, Any]) -> str:
    return "".join(json.dumps(account) + "\n" for account in accounts)


def people(*numbers: int) -> str:
    return lines(*({"email": f"user{number}@example.com", "username": f"user{number}"} for number in numbers))


def report(operator: Operator, *words: str, code: int = 0, given: str | bytes | None = None) -> dict[str, Any]:
    """Import, and return what it says of it."""
    done = operator.run("users", "import", *words, "--json", code=code, given=given)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.pop("seconds") >= 0
    return found


def exported(operator: Operator, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator.run("users", "export", *words).stdout.splitlines()]
