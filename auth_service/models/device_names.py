"""What mails call the device of a request: a name from this list, never a word of the request's own."""

# What a user agent has to hold, and the name for it; the first that fits. Browsers also name those that they descend
# from: Edge says Chrome too, and nearly all say Safari.
BROWSERS = (
    (("Edg/", "EdgA/", "EdgiOS/"), "Edge"),
    (("OPR/", "OPT/"), "Opera"),
    (("SamsungBrowser/",), "Samsung Internet"),
    (("Vivaldi/",), "Vivaldi"),
    (("Firefox/", "FxiOS/"), "Firefox"),
    (("Chrome/", "CriOS/"), "Chrome"),
    (("Safari/",), "Safari"),
)
SYSTEMS = (
    (("iPhone",), "iPhone"),
    (("iPad",), "iPad"),
    (("Android",), "Android"),
    (("Windows",), "Windows"),
    (("CrOS",), "ChromeOS"),
    (("Macintosh", "Mac OS X"), "macOS"),
    (("Linux",), "Linux"),
)
UNKNOWN_APP = "an unknown app"


def name_of_device(user_agent: str) -> str:
    """Return `Firefox on Windows`, `Firefox`, `an unknown app on Windows` or `an unknown app`."""
    browser = _first(BROWSERS, user_agent) or UNKNOWN_APP
    system = _first(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(names: tuple[tuple[tuple[str, ...], str], ...], user_agent: str) -> str | None:
    return next((name for marks, name in names if any(mark in user_agent for mark in marks)), None)
