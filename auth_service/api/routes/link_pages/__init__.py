"""The pages that links in mails open, for deployments without pages of their own.

A page reads the token from the fragment of its URL, which stays in the browser, and sends it when
the button is pressed. Where a mail program or a filter cut it off, the page asks for the code of the mail.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from auth_service.api.http.html.pages import LOGO_PATH, HtmlPages
from auth_service.api.http.lazy_route import LazyRoute
from auth_service.api.requests.dependencies import set_requester
from auth_service.api.routes.link_pages.texts import FAULTS, PAGES, PROBLEMS, PageText
from auth_service.settings import Settings

PREFIX = "/auth/pages"
FOLDER = Path(__file__).parent
LOGO_NAME = LOGO_PATH.removeprefix(f"{PREFIX}/")


class LinkPages:
    """What is below `/auth/pages`, made once: the pages, their script, and the logo."""

    def __init__(self, settings: Settings, html: HtmlPages) -> None:
        policy = {"Content-Security-Policy": html.policy(script=True)}
        form = Template((FOLDER / "form.html").read_text("utf-8"))
        ours = {
            "shortest": settings.password.min_length,
            "longest": settings.password.max_length,
            "application": escape(html.name),
            "sign_in": _sign_in(settings.application.sign_in_url),
        }
        self._files = {"page.js": ((FOLDER / "page.js").read_bytes(), "text/javascript; charset=utf-8", policy)}
        for name, text in PAGES.items():
            content = Template(_content(form, text)).substitute(ours)
            self._files[name] = (html.html(text.title, content, script="page.js"), "text/html; charset=utf-8", policy)
        if html.logo:  # an SVG that somebody opens by itself runs nothing
            sandbox = {
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cache-Control": "public, max-age=3600",
            }
            self._files[LOGO_NAME] = (*html.logo, sandbox)

    def answer(self, name: str) -> Response:
        """Return a file; raises `HTTPException` if there is none of this name.

        A "#" that somebody has encoded became part of the name: the page without it asks for the code.
        """
        page, sign, _ = name.partition("#")
        if sign and page in PAGES:
            return RedirectResponse(page, 303)
        if name not in self._files:
            raise HTTPException(404)
        content, media_type, headers = self._files[name]
        return Response(content, media_type=media_type, headers=headers)


def _sign_in(url: str | None) -> str:
    """A link to the application, below what the page says at its end; none if it is not known where people sign in."""
    return f' <a class="next" href="{escape(url)}">Sign in</a>' if url else ""


def _content(form: Template, text: PageText) -> str:
    return form.substitute(
        target=text.target,
        purpose=f"<p>{text.purpose}</p>" if text.purpose else "",
        fields=text.fields,
        button=text.button,
        sentences="\n".join(_sentences(text.endings)),
    )


def _sentences(endings: dict[str, str]) -> Iterator[str]:
    """All that the script may show, so that it has no words of its own."""
    for word, sentence in {**FAULTS, **endings}.items():
        yield f'<p class="ending" data-on="{word}" role="status" tabindex="-1" hidden>{sentence}</p>'
    for word, sentence in PROBLEMS.items():
        yield f'<p data-problem="{word}" hidden>{sentence}</p>'


router = APIRouter(prefix=PREFIX, route_class=LazyRoute, dependencies=[Depends(set_requester)])


@router.get("/{name}", include_in_schema=False)
async def page(name: str, request: Request) -> Response:
    """One of the pages, or what they load. Viewing a page changes nothing."""
    pages: LinkPages = request.app.state.link_pages
    return pages.answer(name)
