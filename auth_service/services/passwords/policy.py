"""Which passwords are taken. The same rule at registration and at every change."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from auth_service.blocklist import Blocklist, fold
from auth_service.errors import InvalidPassword, Reason
from auth_service.security.passwords.spellings import canonical_password
from auth_service.services.passwords.guessable import first_guess, words_of
from auth_service.settings import PasswordSettings

SERVICE_NAMES = ("auth-service", "authservice")


class PasswordPolicy:
    def __init__(self, settings: PasswordSettings, base_url: str) -> None:
        self._shortest, self._longest = settings.min_length, settings.max_length
        self._blocklist = Blocklist.open(settings.blocklist)
        self._names = [*SERVICE_NAMES, urlsplit(base_url).hostname or ""]

    def accept(self, field: str, password: str, names: Iterable[str | None]) -> str:
        """Return the password in canonical form. Lengths are in code points, after NFC; nothing is ever cut off.

        `names` are those of the account, its e-mail address and its username.

        Raises:
            InvalidPassword: too short, too long, or easily guessed; `field` is the one of the request.
        """
        secret = canonical_password(password)
        if len(secret) < self._shortest:
            sentence = f"The password needs at least {self._shortest} characters."
            raise InvalidPassword(field, Reason.PASSWORD_TOO_SHORT, sentence, self._shortest)
        if len(secret) > self._longest:
            sentence = f"The password may have at most {self._longest} characters."
            raise InvalidPassword(field, Reason.PASSWORD_TOO_LONG, sentence, self._longest)
        words = {word for name in (*self._names, *names) if name for word in words_of(fold(name))}
        if guess := first_guess(fold(secret), words, self._blocklist):
            sentence = f"The password is easily guessed, because it is little more than {guess}. Choose another."
            raise InvalidPassword(field, Reason.PASSWORD_BLOCKLISTED, sentence)
        return secret
