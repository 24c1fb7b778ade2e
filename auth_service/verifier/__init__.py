"""For services that take the access tokens: a verifier with few dependencies that needs nothing else of this package.

`auth_service.verifier.fastapi` has the dependency for FastAPI, `auth_service.verifier.asgi` the middleware for any
ASGI application.
"""

from auth_service.verifier.claims import Claims
from auth_service.verifier.errors import (
    InsufficientAuthentication,
    InsufficientRole,
    InvalidToken,
    MissingToken,
    Refused,
    Unavailable,
    WrongInternalToken,
)
from auth_service.verifier.verifier import Verifier

__all__ = [
    "Claims",
    "InsufficientAuthentication",
    "InsufficientRole",
    "InvalidToken",
    "MissingToken",
    "Refused",
    "Unavailable",
    "Verifier",
    "WrongInternalToken",
]
