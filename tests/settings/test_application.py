"""The application's name and logo: what is taken, and by which media type a logo is known."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from auth_service.settings import MailSettings
from auth_service.settings.groups.application import LARGEST_LOGO, ApplicationSettings
from tests.conftest import make_settings

SQLITE = "sqlite+aiosqlite://"
LOGOS = {
    b"\x89PNG\r\n\x1a\n....": "image/png",
    b"\xff\xd8\xff\xe0....": "image/jpeg",
    b"GIF89a....": "image/gif",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
    b'<svg xmlns="http://www.w3.org/2000/svg"/>': "image/svg+xml",
    b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- made by hand -->\n<svg/>': "image/svg+xml",
}
NO_LOGOS = [
    b"",
    b"PNG",
    b"<html><p>svg</p></html>",
    b"text with <svg in it",
    b"\x89PNG\r\n\x1a\n" + bytes(LARGEST_LOGO),
]


@pytest.mark.parametrize(("content", "media_type"), LOGOS.items(), ids=LOGOS.values())
def test_a_logo_is_known_by_what_is_in_the_file(tmp_path: Path, content: bytes, media_type: str) -> None:
    file = tmp_path / "logo.bin"
    file.write_bytes(content)
    assert ApplicationSettings(logo=file).logo_type == media_type


@pytest.mark.parametrize("content", NO_LOGOS, ids=range(len(NO_LOGOS)))
def test_what_is_no_picture_or_too_large_is_no_logo(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "logo.png"
    file.write_bytes(content)
    with pytest.raises(ValidationError, match="at most 256 KiB"):
        ApplicationSettings(logo=file)
    with pytest.raises(ValidationError, match="must be a readable file"):
        ApplicationSettings(logo=tmp_path / "nothing.png")
    with pytest.raises(ValidationError, match="must be a readable file"):
        ApplicationSettings(logo=tmp_path)


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "two\nlines", "right to left \u202e", "nul \x00"])
def test_a_name_is_one_short_line_that_can_be_seen(name: str) -> None:
    with pytest.raises(ValidationError, match="printable characters"):
        ApplicationSettings(name=name)


@pytest.mark.parametrize(
    "url",
    ["https://app.example.com/sign-in?from=mail", "http://localhost:3000/", "http://127.0.0.1:5173/sign-in",
     "http://[::1]:3000/x", "http://app.localhost/", "https://intranet/sign-in"],
)  # fmt: skip
def test_people_are_led_to_a_page_with_tls_or_on_this_machine(url: str) -> None:
    assert ApplicationSettings(sign_in_url=url).sign_in_url == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        *((url, "must begin with https://") for url in (
            "http://app.example.com/", "http://10.0.0.7/", "http://localhost.example/", "app.example.com/sign-in",
            "/sign-in", "javascript:alert(1)", "data:text/html,x", "",
        )),
        ("https://user:secret@app.example.com/", "without credentials"),
        ("https://app.example.com/#/sign-in", "without '#'"),
        ('https://app.example.com/"><script>', "percent-encoded"),
        ("https://0.0.0.0/", "the host that clients call"),
    ],
)  # fmt: skip
def test_a_page_to_sign_in_that_would_give_passwords_away_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ApplicationSettings(sign_in_url=url)


def test_the_name_is_as_it_is_set_or_the_senders_or_the_host() -> None:
    sender = MailSettings(host="mail.example", sender="Example Ltd. <no-reply@example.com>")
    assert make_settings(SQLITE, public_url="https://id.example").application_name == "id.example"
    assert make_settings(SQLITE, mail=sender).application_name == "Example Ltd."
    assert make_settings(SQLITE, mail=sender, application={"name": " Acme "}).application_name == "Acme"
