"""How mail is sent, and where the links in it lead: `AUTH_MAIL__*`."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from auth_service.settings.origins import LinkUrl
from auth_service.settings.values import ZERO, Duration, Group, written_as

if TYPE_CHECKING:
    from email.headerregistry import Address

DEFAULT_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}"
_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def address_of(text: str) -> "Address":
    """Read one address with or without a name; raises ValueError."""
    from email.errors import HeaderParseError  # noqa: PLC0415  # only where mail is sent
    from email.policy import SMTP  # noqa: PLC0415

    try:
        addresses = SMTP.header_factory("To", text).addresses
    except (ValueError, IndexError, HeaderParseError):
        addresses = ()
    is_one = text.isprintable() and len(addresses) == 1
    if not is_one or not addresses[0].username or not _DOMAIN.fullmatch(addresses[0].domain):
        raise ValueError("must be one address, such as 'Example <no-reply@example.com>'")
    found: Address = addresses[0]
    return found


def _sender(text: str) -> str:
    return str(address_of(text))


MailHost = Annotated[str, written_as(_HOST, "must be the name or the IP address of a server, without a port")]


class MailSettings(Group):
    """Without `host`, the embedded default writes mail to the log, and with PostgreSQL none is sent."""

    host: MailHost | None = None
    port: int | None = Field(None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = Field(None, min_length=1)
    password: SecretStr | None = None
    sender: Annotated[str, BeforeValidator(_sender)] | None = None
    ca_file: Path | None = None
    timeout: Duration = Field(timedelta(seconds=10), gt=ZERO, le=timedelta(minutes=2))
    interval: Duration = Field(timedelta(seconds=5), gt=ZERO, le=timedelta(minutes=5))
    templates: Path | None = None
    verify_url: LinkUrl | None = None
    reset_url: LinkUrl | None = None
    email_change_url: LinkUrl | None = None
    keep_email_url: LinkUrl | None = None
    keep_factors_url: LinkUrl | None = None

    @field_validator("ca_file")
    @classmethod
    def _file_can_be_read(cls, path: Path | None) -> Path | None:
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            raise ValueError("must be a readable file")
        return path

    @field_validator("templates")
    @classmethod
    def _folder_can_be_read(cls, path: Path | None) -> Path | None:
        if path is not None and not (path.is_dir() and os.access(path, os.R_OK | os.X_OK)):
            raise ValueError("must be a readable folder")
        return path

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if complaints := list(self._disagreements()):
            raise ValueError("\n".join(complaints))
        return self

    def _disagreements(self) -> Iterator[str]:
        if (self.username is None) != (self.password is None):
            yield "must have AUTH_MAIL__USERNAME and AUTH_MAIL__PASSWORD, or neither"
        if self.host and not self.sender:
            yield "must have AUTH_MAIL__SENDER, such as 'Example <no-reply@example.com>', with AUTH_MAIL__HOST"
        if self.password and self.security == "none":
            yield "must not send AUTH_MAIL__PASSWORD without TLS: AUTH_MAIL__SECURITY is none"

    @property
    def smtp_port(self) -> int:
        return self.port or DEFAULT_PORTS[self.security]
