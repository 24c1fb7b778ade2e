"""HTML as people see it: one layout and one style for all pages, with the application's name and logo.

The style stands in each page, and the policy of the page has its hash: so a page is one answer, wherever it is shown.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from starlette.responses import Response

from auth_service.settings import Settings
from auth_service.settings.origins import origin_of

FOLDER = Path(__file__).parent
LOGO_PATH = "/auth/pages/logo"


class HtmlPages:
    """Makes the pages. Nothing in the layout comes from a request."""

    def __init__(self, settings: Settings) -> None:
        style = (FOLDER / "style.css").read_text("utf-8")
        logo = settings.application.logo
        self.name = settings.application_name
        self.logo = (logo.read_bytes(), settings.application.logo_type) if logo else None
        url = escape(settings.base_url + LOGO_PATH)
        shown = f'<img class="logo" src="{url}" alt="">\n' if logo else ""
        icon = f'<link rel="icon" href="{url}">\n' if logo else ""
        layout = Template((FOLDER / "layout.html").read_text("utf-8"))
        ours = {"style": style, "name": escape(self.name), "logo": shown, "icon": icon}
        self._layout = Template(layout.safe_substitute({name: text.replace("$", "$$") for name, text in ours.items()}))
        digest = b64encode(sha256(style.encode()).digest()).decode()
        self._look = f"style-src 'sha256-{digest}'" + (f"; img-src {origin_of(settings.base_url)}" if logo else "")

    def html(self, title: str, content: str, *, script: str | None = None) -> bytes:
        """Return a page. `title` is text, `content` is HTML; `script` is the URL of a script of ours."""
        more = f'<script src="{escape(script)}" defer></script>' if script else ""
        return self._layout.substitute(title=escape(title), content=content, more=more).encode()

    def policy(self, *, script: bool = False) -> str:
        """Return the Content-Security-Policy of a page; one with a script may load it, and call this service."""
        scripts = "script-src 'self'; connect-src 'self'; " if script else ""
        return f"default-src 'none'; {scripts}{self._look}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    def answer(self, title: str, content: str, **headers: str) -> Response:
        """Return a page without a script as an answer."""
        all_headers = {"Content-Security-Policy": self.policy(), **{k.replace("_", "-"): v for k, v in headers.items()}}
        return Response(self.html(title, content), media_type="text/html; charset=utf-8", headers=all_headers)
