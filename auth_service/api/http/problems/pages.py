"""Problems as pages, for people: whoever opens a URL in a browser, and gets an error, can read it."""

import json
import re
from collections.abc import Awaitable, Mapping
from html import escape
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service.api.http.html.pages import HtmlPages

PROBLEM = b"application/problem+json"
_JSON = ("application/problem+json", "application/json")
_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


class ProblemPages:
    """Sends a problem as HTML to a browser that opens a page, and as JSON to everybody else."""

    def __init__(self, app: ASGIApp, html: HtmlPages) -> None:
        self._app = app
        self._html = html

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and opens_a_page(scope):
            send = _Translation(send, self._html)
        return self._app(scope, receive, send)


class _Translation:
    """Holds a problem back until it is whole, and sends the page instead. Other answers go through."""

    def __init__(self, send: Send, html: HtmlPages) -> None:
        self._send = send
        self._html = html
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and (b"content-type", PROBLEM) in message["headers"]:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._translate(self._start)

    async def _translate(self, start: Message) -> None:
        told = json.loads(self._body)
        headers = {name: value for name, value in start["headers"] if name not in {b"content-type", b"content-length"}}
        body = self._html.html(told["title"], _content(told, headers.get(b"retry-after")))
        ours = {
            b"content-type": b"text/html; charset=utf-8",
            b"content-length": str(len(body)).encode(),
            b"content-security-policy": self._html.policy().encode(),
        }
        self._start = None
        await self._send({**start, "headers": [*headers.items(), *ours.items()]})
        await self._send({"type": "http.response.body", "body": body})


def _content(told: Mapping[str, Any], retry_after: bytes | None) -> str:
    """What the page says below its title. All of it is escaped; an unknown field has a client's name."""
    wrong = [f"{error['field']}: {error['detail']}" for error in told.get("errors") or ()]
    fields = "".join(f"<li>{escape(sentence)}</li>" for sentence in wrong)
    again = f"<p>Try again in {_in_words(int(retry_after))}.</p>\n" if retry_after else ""
    return (
        f"<p>{escape(told['detail'])}</p>\n" + (f"<ul>{fields}</ul>\n" if fields else "") + again + '<p class="small">'
        f'Status {told["status"]}, <a href="{escape(told["type"])}">{escape(told["code"])}</a><br>'
        f"Request <code>{escape(str(told['request_id']))}</code></p>"
    )


def _in_words(seconds: int) -> str:
    if seconds == 1:
        return "a second"
    return f"{seconds} seconds" if seconds < 120 else f"{-(-seconds // 60)} minutes"  # noqa: PLR2004


def opens_a_page(scope: Scope) -> bool:
    """Whether a request is a browser's that shows the answer to somebody, and not one of a program's.

    A browser asks for text/html before JSON (RFC 9110, section 12.5.1). It says so by Sec-Fetch-Mode as well, and never
    sends a bearer token or JSON by itself: some libraries prefer text/html unless they are told otherwise.
    """
    accepted = b",".join([value for name, value in scope["headers"] if name == b"accept"]).lower()
    if b"text/html" not in accepted:
        return False
    told = {name: value for name, value in scope["headers"] if name in _TELLING}
    return (
        b"authorization" not in told
        and told.get(b"sec-fetch-mode", b"navigate") == b"navigate"
        and not told.get(b"content-type", b"").lower().startswith(b"application/json")
        and _prefers_html(accepted.decode("latin-1"))
    )


_TELLING = frozenset({b"authorization", b"sec-fetch-mode", b"content-type"})


def _prefers_html(accepted: str) -> bool:
    """Whether text/html is wanted more than JSON, or as much where JSON is in a wildcard alone."""
    ranges: dict[str, float] = {}
    for part in accepted.split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        weights = [match[1] for word in parameters if (match := _QUALITY.fullmatch(word))]
        ranges[name] = float(weights[0]) if weights else 1.0
    wanted, named = ranges.get("text/html", 0.0), [ranges[kind] for kind in _JSON if kind in ranges]
    others = ranges.get("application/*", ranges.get("*/*", 0.0))
    return wanted > 0 and (wanted > max(named) if named else wanted >= others)
