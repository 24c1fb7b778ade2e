"""Verifiers that follow a stand-in for the service."""

from typing import Any

from auth_service.verifier import InvalidToken, Verifier

from .stand_in import INTERNAL_TOKEN, StandIn

# One issuer as operators write it, here and in AUTH_PUBLIC_URL, and as its tokens name it.
SPELLINGS = (
    "https://xn--bcher-kva.example/auth", "https://bücher.example/auth/", "HTTPS://BÜCHER.Example:443/auth",
    "https://XN--Bcher-Kva.EXAMPLE/auth", "https://bu\u0308cher.example/auth", "https://\uff42ücher。example/auth",
)  # fmt: skip

LOOK_AGAIN_EVERY = 0.1  # seconds


def following(stand_in: StandIn, **options: Any) -> Verifier:
    """A verifier, not started yet, that does not wait as long before it asks for the keys once more."""
    options = {"service": stand_in.url, "internal_token": INTERNAL_TOKEN + "\n", **options}
    made = Verifier(stand_in.kit.issuer, **options)
    made.keys.look_again_every = LOOK_AGAIN_EVERY
    return made


async def is_refused(verifier: Verifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except InvalidToken:
        return True
    return False
