"""The names that mails give to devices."""

import pytest

from auth_service.models.devices import BROWSERS, SYSTEMS, UNKNOWN_APP, name_of_device

LIKE_GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0) {LIKE_GECKO} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {LIKE_GECKO} Chrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 1) {LIKE_GECKO} Chrome/140.0 Safari/537.36 OPR/121.0", "Opera on ChromeOS"),
        (f"Mozilla/5.0 (Linux; Android 15) {LIKE_GECKO} SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36",
         "Samsung Internet on Android"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {LIKE_GECKO} Version/18.0 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140.0 Mobile/15E148 Safari/604.1",
         "Chrome on iPhone"),
        ("Dalvik/2.1.0 (Linux; U; Android 15; Pixel 9)", "an unknown app on Android"),
        ("Firefox/140.0", "Firefox"),
        ("curl/8.14.1", UNKNOWN_APP),
        ("", UNKNOWN_APP),
    ],
)  # fmt: skip
def test_a_device_has_the_name_of_its_browser_and_its_system(user_agent: str, name: str) -> None:
    assert name_of_device(user_agent) == name


def test_a_name_holds_nothing_that_the_user_agent_says() -> None:
    browsers, systems = ([name for _, name in table] for table in (BROWSERS, SYSTEMS))
    every = {*browsers, UNKNOWN_APP}
    every |= {f"{browser} on {system}" for browser in every for system in systems}
    marks = [mark for table in (BROWSERS, SYSTEMS) for found, _ in table for mark in found]
    for mark in marks:
        assert name_of_device(f"<b>Refund waiting: https://evil.example {mark} evil") in every
