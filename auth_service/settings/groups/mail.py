"""How mail is sent, and where the links in it lead: `AUTH_MAIL__*`."""

import os
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from auth_service.settings.hosts import check_host, is_for_listening
from auth_service.settings.origins import LinkUrl
from auth_service.settings.values import SHORTEST_WAIT, Duration, Group, choice, readable_file

if TYPE_CHECKING:
    from email.headerregistry import Address

DEFAULT_PORTS = {"starttls": 587, "tls": 465, "none": 25}
LONGEST_ADDRESS, LONGEST_MAILBOX = 254, 64  # RFC 5321, sections 4.5.3.1.3 (with erratum 1690) and 4.5.3.1.1


def address_of(text: str) -> "Address":
    """Read one address with or without a name; raises ValueError."""
    from email.errors import HeaderParseError  # noqa: PLC0415  # only where mail is sent
    from email.policy import SMTP  # noqa: PLC0415

    try:
        addresses = SMTP.header_factory("To", text).addresses
    except (ValueError, IndexError, HeaderParseError):
        addresses = ()
    found: Address | None = addresses[0] if len(addresses) == 1 and text.isprintable() else None
    if not found or not found.username or not found.domain or found.domain.startswith("["):
        raise ValueError("must be one address, such as 'Example <no-reply@example.com>'")
    if len(found.addr_spec) > LONGEST_ADDRESS or len(found.username) > LONGEST_MAILBOX or not found.addr_spec.isascii():
        raise ValueError(
            f"must have an address in ASCII (xn--...), of at most {LONGEST_ADDRESS} characters and "
            f"{LONGEST_MAILBOX} before the '@'"
        )
    check_host(found.domain)
    return found


def _server(text: str) -> str:
    """The name of a server, or its address: here one of IPv6 stands without brackets."""
    is_ipv6 = text.count(":") > 1 and not text.startswith("[")
    if not is_ipv6 and (":" in text or "/" in text):
        raise ValueError("must be the name or the address of a server alone: the port is AUTH_MAIL__PORT")
    check_host(f"[{text}]" if is_ipv6 else text)
    if is_for_listening(text):
        raise ValueError("must be the address of a server; 0.0.0.0 and :: are to listen on")
    return text


def _sender(text: str) -> str:
    return str(address_of(text))


MailHost = Annotated[str, AfterValidator(_server)]


class MailSettings(Group):
    """Without `host`, the embedded default writes mail to the log, and with PostgreSQL none is sent."""

    host: MailHost | None = None
    port: int | None = Field(None, ge=1, le=65535)
    security: Annotated[Literal["starttls", "tls", "none"], choice("starttls", "tls", "none")] = "starttls"
    username: str | None = Field(None, min_length=1)
    password: SecretStr | None = None
    sender: Annotated[str, BeforeValidator(_sender)] | None = None
    ca_file: Path | None = None
    timeout: Duration = Field(timedelta(seconds=10), ge=SHORTEST_WAIT, le=timedelta(minutes=2))
    interval: Duration = Field(timedelta(seconds=5), ge=SHORTEST_WAIT, le=timedelta(minutes=5))
    templates: Path | None = None
    verify_url: LinkUrl | None = None
    reset_url: LinkUrl | None = None
    email_change_url: LinkUrl | None = None
    keep_email_url: LinkUrl | None = None
    keep_factors_url: LinkUrl | None = None

    @field_validator("ca_file")
    @classmethod
    def _file_can_be_read(cls, path: Path | None) -> Path | None:
        try:
            if path is not None:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=readable_file(path))
        except (ssl.SSLError, OSError):
            raise ValueError("must be a file of certificates (PEM)") from None
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
        if self.port == DEFAULT_PORTS["tls"] and self.security != "tls":  # RFC 8314, section 7.3
            yield f"must have AUTH_MAIL__SECURITY=tls with AUTH_MAIL__PORT={self.port}: it speaks TLS from the start"
        if self.security == "tls" and self.port in {DEFAULT_PORTS["starttls"], DEFAULT_PORTS["none"]}:
            yield f"must have AUTH_MAIL__SECURITY=starttls with AUTH_MAIL__PORT={self.port}: tls is for 465"

    @property
    def smtp_port(self) -> int:
        return self.port or DEFAULT_PORTS[self.security]
