"""All the groups together, and what they have to agree on."""

from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from auth_service.roles import Role
from auth_service.settings import groups
from auth_service.settings.database import DatabaseSettings
from auth_service.settings.groups.application import ApplicationSettings
from auth_service.settings.groups.mail import MailSettings, address_of
from auth_service.settings.groups.passwords import HashingSettings, PasswordSettings
from auth_service.settings.groups.tokens import TokenSettings
from auth_service.settings.lists import SecretList
from auth_service.settings.origins import PublicUrl, is_secure_context, origin_of
from auth_service.settings.strength import is_weak_secret, is_weak_token
from auth_service.settings.values import LOOPBACK, SOURCES

SHORTEST_ALONE = 15  # characters of a password that nothing else stands beside (NIST SP 800-63B-4, section 3.1.1.2)


class Settings(BaseSettings):
    """All of it. `read_settings()` is how to get one; tests pass keyword arguments."""

    model_config = SettingsConfigDict(**{**SOURCES, "env_prefix": "AUTH_", "env_nested_delimiter": "__"})

    public_url: PublicUrl = "http://127.0.0.1:8000"
    secret_key: SecretList = ()
    internal_token: SecretList = ()
    migrate_on_start: bool | None = None
    application: ApplicationSettings = ApplicationSettings()
    tokens: TokenSettings = TokenSettings()
    password: PasswordSettings = PasswordSettings()
    registration: groups.RegistrationSettings = groups.RegistrationSettings()
    mail: MailSettings = MailSettings()
    administration: groups.AdministrationSettings = groups.AdministrationSettings()
    factors: groups.FactorSettings = groups.FactorSettings()
    passkeys: groups.PasskeySettings = groups.PasskeySettings()
    hashing: HashingSettings = HashingSettings()
    throttle: groups.ThrottleSettings = groups.ThrottleSettings()
    sessions: groups.SessionSettings = groups.SessionSettings()
    cleanup: groups.CleanupSettings = groups.CleanupSettings()
    audit: groups.AuditSettings = groups.AuditSettings()
    keys: groups.KeySettings = groups.KeySettings()
    revocations: groups.RevocationSettings = groups.RevocationSettings()
    proxy: groups.ProxySettings = groups.ProxySettings()
    cors: groups.CorsSettings = groups.CorsSettings()
    cookies: groups.CookieSettings = groups.CookieSettings()
    shutdown: groups.ShutdownSettings = groups.ShutdownSettings()
    docs: groups.DocsSettings = groups.DocsSettings()
    log: groups.LogSettings = groups.LogSettings()
    database: DatabaseSettings = Field(default_factory=DatabaseSettings, exclude=True)

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        if complaints := [*self._disagreements(), *self._weak_secrets()]:
            raise ValueError("\n".join(complaints))
        return self

    def _disagreements(self) -> Iterator[str]:
        if self.tokens.refresh_idle_lifetime > self.tokens.refresh_absolute_lifetime:
            yield "AUTH_TOKENS__REFRESH_IDLE_LIFETIME: must not exceed AUTH_TOKENS__REFRESH_ABSOLUTE_LIFETIME"
        if self.tokens.refresh_idle_lifetime <= self.tokens.access_lifetime:
            yield "AUTH_TOKENS__REFRESH_IDLE_LIFETIME: must be longer than AUTH_TOKENS__ACCESS_LIFETIME"
        if self.registration.existing == "conceal" and not self.sends_mail:
            yield "AUTH_REGISTRATION__EXISTING: 'conceal' needs mail, so set AUTH_MAIL__HOST"
        if self.password.min_length < SHORTEST_ALONE and {
            *self.factors.required_roles,
            *self.passkeys.required_roles,
        } != set(Role):
            yield (
                f"AUTH_PASSWORD__MIN_LENGTH: below {SHORTEST_ALONE} only where everybody must have a second factor "
                f"(NIST SP 800-63B-4): AUTH_FACTORS__REQUIRED_ROLES={','.join(Role)}"
            )
        yield from self._passkeys_disagree()
        if self.cookies.enabled and not _keeps_secure_cookies(self.public_url):
            yield "AUTH_COOKIES__ENABLED: needs an AUTH_PUBLIC_URL with https: browsers refuse others"

    def _passkeys_disagree(self) -> Iterator[str]:
        if self.passkeys.rp_id is not None and not self.passkey_origins:
            yield (
                "AUTH_PASSKEYS__ORIGINS: must name the pages that use passkeys: AUTH_PUBLIC_URL is not of the domain "
                "AUTH_PASSKEYS__RP_ID"
            )
        elif not self.passkeys.origins and not all(map(is_secure_context, self.passkey_origins)):
            yield "AUTH_PASSKEYS__RP_ID: needs an AUTH_PUBLIC_URL with https: browsers let localhost alone do without"
        for name in ("origins", "top_origins", "required_roles"):
            if getattr(self.passkeys, name) and self.passkeys.rp_id is None:
                yield f"AUTH_PASSKEYS__{name.upper()}: needs AUTH_PASSKEYS__RP_ID"

    def _weak_secrets(self) -> Iterator[str]:
        """Complain of a secret that can be guessed, or that does two jobs."""
        keys = {secret.get_secret_value() for secret in self.secret_key}
        if any(is_weak_secret(key) for key in keys):
            yield "AUTH_SECRET_KEY: must be at least 32 random bytes, and not a sample value"
        tokens = {secret.get_secret_value() for secret in self.internal_token}
        if any(is_weak_token(token) for token in tokens):
            yield "AUTH_INTERNAL_TOKEN: must be at least 16 random visible ASCII characters, and not a sample value"
        if tokens & keys:
            yield "AUTH_INTERNAL_TOKEN: must not be the same as AUTH_SECRET_KEY"

    @property
    def passkey_origins(self) -> tuple[str, ...]:
        """The pages and apps that may use passkeys; unless they are named, the service's own, if of that domain."""
        host, domain = urlsplit(self.public_url).hostname or "", self.passkeys.rp_id
        is_own = domain is not None and f".{host}".endswith(f".{domain}")
        return self.passkeys.origins or ((origin_of(self.public_url),) if is_own else ())

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
    def is_public_url_set(self) -> bool:
        """Whether the operator chose it; the default leads to whichever machine it is read on."""
        return "public_url" in self.model_fields_set

    @property
    def sends_mail(self) -> bool:
        """Through an SMTP server, or to the log of the embedded default."""
        return self.mail.host is not None or not self.database.is_postgresql

    @property
    def application_name(self) -> str:
        """What pages, mails and authenticators call this service: as it is set, or the mails' sender, or its host."""
        if self.application.name:
            return self.application.name
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
    def takes_in_house_domains(self) -> bool:
        chosen = self.registration.in_house_domains
        return not self.database.is_postgresql if chosen is None else chosen

    @property
    def serves_docs(self) -> bool:
        return not self.database.is_postgresql if self.docs.enabled is None else self.docs.enabled


def _keeps_secure_cookies(url: str) -> bool:
    """Browsers keep a `Secure` cookie of a site with TLS, and of the machine itself."""
    return url.startswith("https://") or urlsplit(url).hostname in LOOPBACK
