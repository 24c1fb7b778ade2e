"""Which passwords are taken. The same rule at registration and at every change."""

from auth_service.errors import InvalidPassword
from auth_service.identifiers import canonical_password
from auth_service.settings import PasswordSettings


class PasswordPolicy:
    def __init__(self, settings: PasswordSettings) -> None:
        self._shortest, self._longest = settings.min_length, settings.max_length

    def accept(self, field: str, password: str) -> str:
        """Return the password in canonical form. Lengths are in code points, after NFC; nothing is ever cut off.

        Raises:
            InvalidPassword: too short or too long; `field` is the one of the request.
        """
        secret = canonical_password(password)
        if len(secret) < self._shortest:
            sentence = f"The password needs at least {self._shortest} characters."
            raise InvalidPassword(field, "password-too-short", sentence)
        if len(secret) > self._longest:
            sentence = f"The password may have at most {self._longest} characters."
            raise InvalidPassword(field, "password-too-long", sentence)
        return secret
