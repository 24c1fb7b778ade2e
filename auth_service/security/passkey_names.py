"""Names of the programs and devices that keep passkeys, by their AAGUID."""

from uuid import UUID


def name_of_authenticator(_aaguid: UUID) -> str:
    """Return what to call a passkey that its owner gave no name."""
    return "Passkey"
