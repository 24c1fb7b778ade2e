"""What a mail says: made of two templates, the operator's or our own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError, select_autoescape

from auth_service.models import LINKS, DueMail, FactorKind, MailKind, name_of_device

OUR_FOLDER = Path(__file__).parent / "templates"
SUBJECT = "Subject:"


class WrongTemplateError(Exception):
    """A template cannot be used; the message names it and what is wrong with it."""


@dataclass(frozen=True)
class Letter:
    """A mail as people read it. The text is as long as it is; the link, if any, is in it."""

    id: UUID
    kind: MailKind
    recipient: str = field(repr=False)
    created_at: datetime
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    link: str | None = field(repr=False)


class Letters:
    """Templates, read once. `sender` is what the mails call this service."""

    def __init__(self, folder: Path | None, sender: str) -> None:
        folders = [folder, OUR_FOLDER] if folder else [OUR_FOLDER]
        self._templates = Environment(
            loader=FileSystemLoader(folders),
            undefined=StrictUndefined,
            autoescape=select_autoescape(["html"], default=False),
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._sender = sender

    def compose(self, mail: DueMail, recipient: str, link: str | None = None, code: str | None = None) -> Letter:
        """Fill in the templates of a mail's kind. `code` is typed where the link did not arrive whole.

        Raises:
            WrongTemplateError: one of them cannot be filled in.
        """
        kind, details = MailKind(mail.kind), mail.details
        values = {
            "sender": self._sender,
            "recipient": recipient,
            "time": _in_utc(mail.created_at.isoformat()),
            "link": link or "",
            "code": code or "",
            "lifetime": _in_words(LINKS[kind][1]) if kind in LINKS else "",
            "new_email": details.get("new_email", ""),
            "effective_at": _in_utc(str(details.get("effective_at", ""))),
            "device": name_of_device(str(details.get("device", ""))),
            "address": details.get("address", "") or "unknown",
            "codes_left": details.get("codes_left", ""),
            "factor": details.get("factor", FactorKind.TOTP),  # an older service tells of apps alone
            "factors_left": details.get("factors_left", 0),
            "rotated_device": name_of_device(str(details.get("rotated_device", ""))),
            "rotated_address": details.get("rotated_address", "") or "unknown",
        }
        first, _, text = self._fill_in(f"{kind}.txt", values).partition("\n")
        if not first.startswith(SUBJECT):
            raise WrongTemplateError(f"{kind}.txt: the first line must be '{SUBJECT} ...'")
        html = self._fill_in(f"{kind}.html", values)
        # One line, whatever the template and its values hold: a header must not end early.
        subject = " ".join("".join(c if c.isprintable() else " " for c in first.removeprefix(SUBJECT)).split())
        return Letter(mail.id, kind, recipient, mail.created_at, subject, text.strip() + "\n", html, link)

    def check(self) -> None:
        """Fill in every template once; raises `WrongTemplateError`."""
        at = datetime(2000, 1, 1, tzinfo=UTC)
        for kind in MailKind:
            sample = DueMail(UUID(int=0), kind, None, None, {}, created_at=at, attempts=1, now=at)
            link = ("https://auth.example/#token=sample", "SAMPLE") if kind in LINKS else ()
            self.compose(sample, "ada@example.com", *link)

    def _fill_in(self, name: str, values: Mapping[str, str | int]) -> str:
        try:
            return self._templates.get_template(name).render(values)
        except TemplateSyntaxError as error:
            raise WrongTemplateError(f"{error.name}: line {error.lineno}: {error.message}") from None
        except (TemplateError, UnicodeDecodeError, OSError, TypeError, ValueError) as error:
            raise WrongTemplateError(f"{name}: {error}") from None


def _in_utc(moment: str) -> str:
    """2026-01-31 12:00 UTC; empty for a mail that has no such time."""
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""


def _in_words(life: timedelta) -> str:
    """15 minutes, 24 hours."""
    minutes = round(life.total_seconds() / 60)
    return f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} minutes"
