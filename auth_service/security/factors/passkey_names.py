"""A name for a new passkey, from the model of its authenticator (AAGUID; WebAuthn, section 6.5.2).

No authenticator vouches for its AAGUID here, so a name is a help for its owner, who may change it, and decides nothing.
"""

import json
from functools import cache
from pathlib import Path
from uuid import UUID

SHIPPED = Path(__file__).with_name("passkey_names.json")


def suggest_passkey_name(aaguid: UUID) -> str | None:
    """Return what its maker calls the authenticator; None if the shipped list does not know it."""
    return _names().get(str(aaguid))


@cache
def _names() -> dict[str, str]:
    names: dict[str, str] = json.loads(SHIPPED.read_text("utf-8"))["names"]
    return names
