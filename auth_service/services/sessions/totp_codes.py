"""Codes of authenticator apps, looked at with the secret as it is stored."""

import time
from datetime import datetime

import structlog

from auth_service.errors import Unavailable
from auth_service.repositories.factors.lookups import SealedTotp
from auth_service.security.factors.totp import find_step, open_totp_secret
from auth_service.security.keys import SecretKeys

log = structlog.get_logger()

TOLD_EVERY = 60.0  # seconds; one factor tells the operator as much as all of them


class TotpUnreadable(Unavailable):
    detail = "Codes of this authenticator app cannot be checked just now; the operator's log says why."


class TotpCodes:
    """A secret that does not open here is a fault of the operator's, who is told, and no wrong code of anybody's."""

    def __init__(self, secrets: SecretKeys) -> None:
        self._secrets = secrets
        self._silent_until = 0.0

    def step_of(self, totp: SealedTotp, digits: str | None, now: datetime) -> int | None:
        """Return the time step that six digits are the code of; None if they are of none, or there are none.

        Raises:
            Unavailable: the secret is sealed under a secret key that is not listed, or is not that factor's.
        """
        secret = open_totp_secret(totp.secret, totp.secret_id, totp.factor_id, self._secrets)
        if secret is None:
            self._tell(totp)
            raise TotpUnreadable
        return find_step(secret, digits, now) if digits else None

    def _tell(self, totp: SealedTotp) -> None:
        if time.monotonic() < self._silent_until:
            return
        self._silent_until = time.monotonic() + TOLD_EVERY
        hint = "AUTH_SECRET_KEY must list the secret that sealed it; 'auth-service doctor' counts such factors"
        log.error("factor.unreadable", factor_id=str(totp.factor_id), secret_id=totp.secret_id, hint=hint)
