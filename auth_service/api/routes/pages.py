"""The pages that the links of mails lead to, for those who have no page of their own for it.

A page learns the token from the fragment of its URL, which stays in the browser, and sends it when a button is pressed.
"""

from pathlib import Path
from string import Template

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from auth_service.api.requests.dependencies import set_requester

FOLDER = Path(__file__).parent / "link_pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
NEW_FIELD = """<input autocomplete="username" hidden>
<label>New password
<input type="password" name="new_password" autocomplete="new-password" required autofocus></label>"""
AGAIN = "This link is not valid any more: it was used, is too old, or a newer mail has another one. Ask for a new mail."

# For each page: what it is called, where it posts to, its fields, what its button says, and what it says in the end.
TEXTS = {
    "verify-email": (
        "Verify your e-mail address",
        "../verify-email",
        "",
        "Verify",
        {"done": "Your e-mail address is verified. You can close this page."},
    ),
    "reset-password": (
        "Choose a new password",
        "../reset-password",
        NEW_FIELD,
        "Set the password",
        {"done": "Your new password is set, and you are signed out everywhere. Sign in with the new one."},
    ),
    "confirm-email": (
        "Change your e-mail address",
        "../confirm-email",
        "",
        "Agree to the change",
        {
            "waiting": "Thank you. The address changes when the link in the mail to the other address is used as well.",
            "changed": "Your e-mail address is changed. Sign in with the new one from now on.",
            "account-exists": "This address belongs to another account by now. Nothing was changed.",
        },
    ),
}


def _page(title: str, target: str, fields: str, button: str, endings: dict[str, str]) -> bytes:
    """A page, put together from texts of ours alone: nothing in it comes from a request."""
    told = {**endings, "invalid-link": AGAIN}
    sentences = "\n".join(f'<p data-on="{word}" hidden>{sentence}</p>' for word, sentence in told.items())
    page = Template((FOLDER / "page.html").read_text("utf-8"))
    return page.substitute(title=title, target=target, fields=fields, button=button, sentences=sentences).encode()


FILES = {
    **{name: (_page(*texts), "text/html; charset=utf-8") for name, texts in TEXTS.items()},
    "page.js": ((FOLDER / "page.js").read_bytes(), "text/javascript; charset=utf-8"),
    "page.css": ((FOLDER / "page.css").read_bytes(), "text/css; charset=utf-8"),
}

router = APIRouter(prefix="/auth/pages", dependencies=[Depends(set_requester)])


@router.api_route("/{name}", methods=["GET", "HEAD"], include_in_schema=False)
async def page(name: str) -> Response:
    """One of the pages, or the script or the style that they load. Whoever looks at it changes nothing."""
    if name not in FILES:
        raise HTTPException(404)
    content, media_type = FILES[name]
    return Response(content, media_type=media_type, headers={"Content-Security-Policy": POLICY})
