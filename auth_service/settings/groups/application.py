"""What people see of the application: its name, its logo and where they sign in: `AUTH_APPLICATION__*`."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, field_validator

from auth_service.settings.origins import LinkUrl, is_secure_context
from auth_service.settings.values import LOOPBACK, Group, readable_file

LONGEST_NAME = 60  # characters
LARGEST_LOGO = 256 * 1024  # bytes
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"must be a name of at most {LONGEST_NAME} printable characters")
    return name


class ApplicationSettings(Group):
    """`logo` is a file, which this service serves itself: no page of it loads anything from elsewhere."""

    name: Annotated[str, AfterValidator(_name)] | None = None
    logo: Path | None = None
    sign_in_url: LinkUrl | None = None

    @field_validator("sign_in_url")
    @classmethod
    def _keeps_passwords_secret(cls, url: str | None) -> str | None:
        if url and not is_secure_context(url) and urlsplit(url).hostname not in LOOPBACK:
            raise ValueError("must begin with https://, since people type their password there (http on this machine)")
        return url

    @field_validator("logo")
    @classmethod
    def _is_a_picture(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        size, kind = readable_file(path).stat().st_size, _type_of(path)
        if size > LARGEST_LOGO or kind is None:
            raise ValueError(f"must be a PNG, JPEG, GIF, WebP or SVG of at most {LARGEST_LOGO // 1024} KiB")
        return path

    @property
    def logo_type(self) -> str:
        """The media type of the logo, by what is in the file; empty if there is none."""
        return (_type_of(self.logo) or "") if self.logo else ""


def _type_of(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(1024)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if b"<svg" in head and head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return "image/svg+xml"
    return next((kind for beginning, kind in _BEGINNINGS.items() if head.startswith(beginning)), None)
