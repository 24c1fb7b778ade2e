"""Every setting, in frozen groups, read once from the environment, `.env` and `/run/secrets`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from auth_service.settings.database import DatabaseSettings
from auth_service.settings.groups import (
    DEFAULT_AUDIT_RETENTION,
    MAX_ACCESS_LIFETIME,
    AuditSettings,
    CleanupSettings,
    CookieSettings,
    CorsSettings,
    DocsSettings,
    HashingSettings,
    KeySettings,
    LogSettings,
    PasswordSettings,
    ProxySettings,
    RegistrationSettings,
    RevocationSettings,
    SessionSettings,
    ShutdownSettings,
    ThrottleSettings,
    TokenSettings,
)
from auth_service.settings.limits import Limits, read_limits
from auth_service.settings.mail import MailSettings, address_of
from auth_service.settings.strength import is_weak_secret, is_weak_token
from auth_service.settings.values import SOURCES, Group, SecretList, origin_of

__all__ = [
    "DEFAULT_AUDIT_RETENTION",
    "MAX_ACCESS_LIFETIME",
    "AuditSettings",
    "CleanupSettings",
    "CookieSettings",
    "CorsSettings",
    "DatabaseSettings",
    "DocsSettings",
    "HashingSettings",
    "KeySettings",
    "Limits",
    "LogSettings",
    "MailSettings",
    "PasswordSettings",
    "ProxySettings",
    "RegistrationSettings",
    "RevocationSettings",
    "SessionSettings",
    "Settings",
    "ShutdownSettings",
    "ThrottleSettings",
    "TokenSettings",
    "WrongSettingError",
    "address_of",
    "environment_names",
    "read_limits",
    "read_settings",
]

SECRETS_FOLDER = Path("/run/secrets")


class WrongSettingError(Exception):
    """A setting cannot be used. The message is one line that names the variable and never holds its value."""


class Settings(BaseSettings):
    """All of it. `read_settings()` is how to get one; tests pass keyword arguments."""

    model_config = SettingsConfigDict(**{**SOURCES, "env_prefix": "AUTH_", "env_nested_delimiter": "__"})

    public_url: str = Field("http://127.0.0.1:8000", pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")
    secret_key: SecretList = ()
    internal_token: SecretList = ()
    migrate_on_start: bool | None = None
    tokens: TokenSettings = TokenSettings()
    password: PasswordSettings = PasswordSettings()
    registration: RegistrationSettings = RegistrationSettings()
    mail: MailSettings = MailSettings()
    hashing: HashingSettings = HashingSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    sessions: SessionSettings = SessionSettings()
    cleanup: CleanupSettings = CleanupSettings()
    audit: AuditSettings = AuditSettings()
    keys: KeySettings = KeySettings()
    revocations: RevocationSettings = RevocationSettings()
    proxy: ProxySettings = ProxySettings()
    cors: CorsSettings = CorsSettings()
    cookies: CookieSettings = CookieSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    docs: DocsSettings = DocsSettings()
    log: LogSettings = LogSettings()
    database: DatabaseSettings = Field(default_factory=DatabaseSettings, exclude=True)

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        if self.tokens.refresh_idle_lifetime > self.tokens.refresh_absolute_lifetime:
            raise ValueError(
                "AUTH_TOKENS__REFRESH_IDLE_LIFETIME: must not exceed AUTH_TOKENS__REFRESH_ABSOLUTE_LIFETIME"
            )
        try:
            origin_of(self.public_url)
        except ValueError:
            raise ValueError("AUTH_PUBLIC_URL: must be a URL with a host, and a port up to 65535") from None
        if self.database.is_postgresql and not self.secret_key:
            raise ValueError("AUTH_SECRET_KEY: must be set with PostgreSQL (make one with 'openssl rand -base64 48')")
        self._secrets_are_strong()
        if self.registration.existing == "conceal" and not self.sends_mail:
            raise ValueError("AUTH_REGISTRATION__EXISTING: 'conceal' needs mail, so set AUTH_MAIL__HOST")
        if self.cookies.enabled and not _keeps_secure_cookies(self.public_url):
            raise ValueError("AUTH_COOKIES__ENABLED: needs an AUTH_PUBLIC_URL with https; browsers keep no cookie else")
        return self

    def _secrets_are_strong(self) -> None:
        """Raise ValueError for a secret that can be guessed, or that does two jobs."""
        keys = {secret.get_secret_value() for secret in self.secret_key}
        if any(is_weak_secret(key) for key in keys):
            raise ValueError("AUTH_SECRET_KEY: must be 32 random bytes or more, and no sample value")
        tokens = {secret.get_secret_value() for secret in self.internal_token}
        if any(is_weak_token(token) for token in tokens):
            raise ValueError(
                "AUTH_INTERNAL_TOKEN: must be 16 random visible ASCII characters or more, and no sample value"
            )
        if tokens & keys:
            raise ValueError("AUTH_INTERNAL_TOKEN: must be another secret than AUTH_SECRET_KEY")

    @property
    def issuer(self) -> str:
        return self.tokens.issuer or self.base_url

    @property
    def audience(self) -> str:
        return self.tokens.audience or self.base_url

    @property
    def base_url(self) -> str:
        return self.public_url.rstrip("/")

    @property
    def sends_mail(self) -> bool:
        """Through an SMTP server, or to the log of the embedded default."""
        return self.mail.host is not None or not self.database.is_postgresql

    @property
    def mail_name(self) -> str:
        """What mails call this service: the sender's name, or else its host."""
        sender = address_of(self.mail.sender) if self.mail.sender else None
        return (sender.display_name or sender.domain) if sender else str(urlsplit(self.public_url).hostname)

    def page_url(self, name: str) -> str:
        """The URL of a page of this service's own that a link of a mail may lead to."""
        return f"{self.base_url}/auth/pages/{name}"

    @property
    def trusted_origins(self) -> frozenset[str]:
        """Whose pages may act for a signed-in browser: our own, and those on the list."""
        return frozenset({origin_of(self.base_url), *self.cors.origins})

    @property
    def migrates_on_start(self) -> bool:
        """The embedded default keeps its own schema; on PostgreSQL the operator decides when."""
        return not self.database.is_postgresql if self.migrate_on_start is None else self.migrate_on_start

    @property
    def serves_docs(self) -> bool:
        return not self.database.is_postgresql if self.docs.enabled is None else self.docs.enabled


def _keeps_secure_cookies(url: str) -> bool:
    """Browsers keep a `Secure` cookie of a site with TLS, and of the machine itself."""
    return url.startswith("https://") or urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


def read_settings() -> Settings:
    """Read every setting from the environment, `.env` in the working folder, and files in `/run/secrets`.

    Raises:
        WrongSettingError: a value cannot be used; the message is one line that names the variable.
    """
    folder = SECRETS_FOLDER if SECRETS_FOLDER.is_dir() else None
    try:
        database = DatabaseSettings(_secrets_dir=folder)
        return Settings(_secrets_dir=folder, database=database)
    except ValidationError as error:
        raise WrongSettingError(_one_line(error)) from None
    except SettingsError as error:
        group = str(error).partition('"')[2].partition('"')[0].upper()
        raise WrongSettingError(f"AUTH_{group}: is set by its fields, each named AUTH_{group}__FIELD") from None


def _one_line(error: ValidationError) -> str:
    prefix = "DB_" if error.title == "DatabaseSettings" else "AUTH_"
    return "; ".join(sorted({_sentence(prefix, entry) for entry in error.errors(include_input=False)}))


def _sentence(prefix: str, entry: Any) -> str:
    message = str(entry["msg"]).removeprefix("Value error, ")
    if not entry["loc"]:  # our own cross-checks name the variable themselves
        return message
    names = [str(part) for part in entry["loc"] if isinstance(part, str)]
    name = names[0] if names[0].isupper() else prefix + "__".join(names).upper()
    return f"{name}: {message[:1].lower()}{message[1:]}"


def environment_names() -> Iterator[str]:
    """Every variable that the service reads, in the order of the groups."""
    for name, field in DatabaseSettings.model_fields.items():
        yield str(field.validation_alias or f"DB_{name.upper()}")
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if name == "database":
            continue
        if isinstance(group, type) and issubclass(group, Group):
            yield from (f"AUTH_{name}__{inner}".upper() for inner in group.model_fields)
        else:
            yield f"AUTH_{name}".upper()
