"""Which of the stored signing keys are of our own making. To write to the table is not enough to make tokens."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from auth_service.models import KeyState, SigningKey
from auth_service.security.keys import SecretKeys
from auth_service.security.signing_keys import ForgedKeyError, UnknownSecretError
from auth_service.security.tokens.access_tokens import Signer, signer_of, verifier_of

log = structlog.get_logger()


class KeySet(NamedTuple):
    """One reading of the stored keys; `keys` are all that are not forged. `signer` is None if none can be used."""

    keys: Sequence[SigningKey]
    signer: Signer | None
    verifiers: Mapping[str, Any]
    public: list[dict[str, str]]


class _Opened(NamedTuple):
    signer: Signer
    verifier: Any


class StoredKeys:
    """Opens each stored key once. One that does not open, or is not what it says, is told once and left out."""

    def __init__(self, secrets: SecretKeys) -> None:
        self._secrets = secrets
        self._known: dict[tuple[Any, ...], _Opened | type[Exception]] = {}

    def key_set(self, stored: Sequence[SigningKey]) -> KeySet:
        """Return the keys that are ours, for signing, for verifying and to be published."""
        known = {_content(key): key for key in stored}
        self._known = {content: self._open(key, content) for content, key in known.items()}
        found = [(key, self._known[content]) for content, key in known.items()]
        good = [(key, opened) for key, opened in found if isinstance(opened, _Opened)]
        return KeySet(
            keys=[key for key, opened in found if opened is not ForgedKeyError],
            signer=next((opened.signer for key, opened in good if key.state == KeyState.ACTIVE), None),
            verifiers={key.kid: opened.verifier for key, opened in good},
            public=[key.public_jwk for key, _ in good],
        )

    def _open(self, key: SigningKey, content: tuple[Any, ...]) -> _Opened | type[Exception]:
        if content in self._known:
            return self._known[content]
        try:
            return _Opened(signer_of(key, self._secrets), verifier_of(key.public_jwk))
        except UnknownSecretError:
            hint = "AUTH_SECRET_KEY must list the secret that sealed it"
            log.error("signing_key.unreadable", kid=key.kid, hint=hint)  # noqa: TRY400  # no trace: it is known
            return UnknownSecretError
        except ForgedKeyError:
            hint = "it is not of this service's making, so who wrote it? 'auth-service keys revoke' removes it"
            log.error("signing_key.forged", kid=key.kid, hint=hint)  # noqa: TRY400
            return ForgedKeyError


def _content(key: SigningKey) -> tuple[Any, ...]:
    """All that is judged; a row that is changed is looked at anew."""
    is_readable = key.created_at is not None
    return key.kid, key.algorithm, repr(key.public_jwk), bytes(key.private_key), key.secret_id, is_readable
