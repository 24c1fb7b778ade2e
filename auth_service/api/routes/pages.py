"""The pages that links in mails open, for deployments without pages of their own.

A page reads the token from the fragment of its URL, which stays in the browser, and sends it when
the button is pressed.
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
USERNAME = """<input autocomplete="username" hidden>"""  # which browsers want beside a password
NEW_FIELD = """<label>New password
<input type="password" name="new_password" autocomplete="new-password" required autofocus></label>"""
CURRENT_FIELD = """<label>Password
<input type="password" name="password" autocomplete="current-password" required autofocus></label>"""
PASSWORD_OR_NEW = f"""{USERNAME}
<fieldset id="known">
<p>Enter the password of your account.</p>
{CURRENT_FIELD}
<p><button type="button" class="switch" data-to="new">I do not know this password</button></p>
</fieldset>
<fieldset id="new" hidden disabled>
<p>Choose a new password. Do this if you forgot yours, registered more than once, or did not create this account
yourself. The password from before stops working, and all devices are signed out.</p>
{NEW_FIELD}
<p><button type="button" class="switch" data-to="known">Enter the password of the account instead</button></p>
</fieldset>"""
PASSWORD_IF_ASKED = f"""{USERNAME}
<fieldset data-ask-on="password-required" hidden disabled>
<p>Enter the password of the account that is to have this address. If you did not ask for this change, close this page:
then nothing is changed.</p>
{CURRENT_FIELD}
</fieldset>"""
WRONG = "This is not the password of the account."
AGAIN = "This link is no longer valid: it was used, has expired, or was replaced by a newer one. Request a new e-mail."

# For each page: its title, the URL it posts to, its fields, the label of its button, and its closing messages.
TEXTS = {
    "verify-email": (
        "Confirm your e-mail address",
        "../verify-email",
        PASSWORD_OR_NEW,
        "Confirm",
        {"done": "Your e-mail address is confirmed. You can close this page and sign in."},
    ),
    "reset-password": (
        "Choose a new password",
        "../reset-password",
        USERNAME + NEW_FIELD,
        "Set password",
        {"done": "Your new password is set. All devices were signed out; sign in again with the new password."},
    ),
    "keep-email": (
        "Keep your e-mail address",
        "../email/keep",
        "<p>An administrator has requested another e-mail address for your account. You can stop this change.</p>",
        "Keep my address",
        {
            "done": "The change was stopped, and your account keeps its e-mail address. You can close this page.",
            "invalid-link": "This link is no longer valid: the change was stopped, has taken effect, or was requested "
            "again. In the last case, use the link in the newest e-mail.",
        },
    ),
    "keep-factors": (
        "Keep your authenticator app or passkeys",
        "../factors/keep",
        "<p>An administrator wants to remove authenticator apps and passkeys from your account. You can stop this.</p>",
        "Keep them",
        {
            "done": "The removal was stopped, and your account keeps its authenticator app and passkeys. If you did "
            "not ask for the removal, somebody else may know your password: change it. You can close this page.",
            "invalid-link": "This link is no longer valid: the removal was stopped, has taken effect, or was requested "
            "again. In the last case, use the link in the newest e-mail.",
        },
    ),
    "confirm-email": (
        "Change your e-mail address",
        "../confirm-email",
        PASSWORD_IF_ASKED,
        "Confirm the change",
        {
            "waiting": "Thank you. The change takes effect once the link sent to the other address is used as well.",
            "changed": "Your e-mail address has been changed. Use the new address to sign in from now on.",
            "account-exists": "Another account now uses this e-mail address. Nothing was changed.",
        },
    ),
}


def _page(title: str, target: str, fields: str, button: str, endings: dict[str, str]) -> bytes:
    """A page made of our own texts only: nothing in it comes from a request."""
    told = {"invalid-link": AGAIN, **endings}
    sentences = "\n".join(f'<p data-on="{word}" hidden>{sentence}</p>' for word, sentence in told.items())
    if CURRENT_FIELD in fields:
        sentences += f'\n<p data-problem="invalid-credentials" hidden>{WRONG}</p>'
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
    """One of the pages, or the script or stylesheet that they load. Viewing a page changes nothing."""
    if name not in FILES:
        raise HTTPException(404)
    content, media_type = FILES[name]
    return Response(content, media_type=media_type, headers={"Content-Security-Policy": POLICY})
