"""What the pages of links say. `$shortest`, `$longest`, `$application` and `$sign_in` are filled in by the settings."""

from typing import NamedTuple

USERNAME = """<input autocomplete="username" hidden>"""  # which browsers want beside a password


def _password(name: str, label: str, completed_by: str, hint: str = "") -> str:
    described = f' aria-describedby="about-{name}"' if hint else ""
    return f"""<label for="{name}">{label}</label>{
        f'''
<p class="hint" id="about-{name}">{hint}</p>'''
        if hint
        else ""
    }
<p class="typed"><input type="password" id="{name}" name="{name}" autocomplete="{completed_by}" autocapitalize="none"
spellcheck="false" required{described}><button type="button" class="reveal" aria-controls="{name}"
aria-label="Show password">Show</button></p>"""


NEW_FIELD = _password(
    "new_password",
    "New password",
    "new-password",
    "$shortest to $longest characters of any kind: four or five words that do not belong together, for example. Not "
    "your name, a row of keys, or a common or leaked password.",
)
CURRENT_FIELD = _password("password", "Password", "current-password")
PASSWORD_OR_NEW = f"""{USERNAME}
<fieldset id="known" class="either">
<p>Enter the password of your account.</p>
{CURRENT_FIELD}
<p><button type="button" class="switch" data-to="new">I do not know this password</button></p>
</fieldset>
<fieldset id="new" class="either" hidden disabled>
<p>Choose a new password. Do this if you forgot yours, registered more than once, or did not create this account
yourself. The password from before stops working, and all devices are signed out.</p>
{NEW_FIELD}
<p><button type="button" class="switch" data-to="known">Enter the password of the account instead</button></p>
</fieldset>"""
PASSWORD_IF_ASKED = f"""{USERNAME}
<fieldset class="either" data-ask-on="password-required" hidden disabled>
<p>Enter the password of the account that is to have this address. If you did not ask for this change, close this page:
then nothing is changed.</p>
{CURRENT_FIELD}
</fieldset>"""

FAULTS = {
    "invalid-link used": "This link was used already, and a link works once. If you need another one, request a new "
    "e-mail.",
    "invalid-link expired": "This link has expired. Request a new e-mail.",
    "invalid-link outdated": "This link is no longer valid, because the account was changed after it was sent. Request "
    "a new e-mail.",
    "invalid-link needs-passkey": "A link in an e-mail cannot set a password for this account, because its role signs "
    "in with passkeys alone. Sign in with your passkey. If you have lost it, contact the operator of $application.",
    "invalid-link": "This link is no longer valid: it was replaced by a newer one, or is not complete. Use the link in "
    "the newest e-mail, or request a new one.",
}
PROBLEMS = {
    "invalid-credentials": "This is not the password of the account.",
    "invalid-link": "This code is not right, or a newer e-mail has replaced it. Compare it with the one in the newest "
    "e-mail.",
    "429": "Too many attempts. Try again in {wait}.",
    "503": "The service cannot answer at the moment. Try again in {wait}; your link stays good.",
    "no-answer": "The service does not answer. Your link stays good: try again in a moment.",
    "offline": "Your device is offline. Your link stays good: try again when you are connected.",
}
STOPPED = (
    "This link is no longer valid: the {change} was stopped, has taken effect, or was requested again. In the last "
    "case, use the link in the newest e-mail."
)


class PageText(NamedTuple):
    """A page: its title, the URL that it posts to, what it is for, its fields, its button, and its closing messages."""

    title: str
    target: str
    purpose: str
    fields: str
    button: str
    endings: dict[str, str]


PAGES = {
    "verify-email": PageText(
        "Confirm your e-mail address",
        "../verify-email",
        "",
        PASSWORD_OR_NEW,
        "Confirm",
        {
            "done": "Your e-mail address is confirmed. You can close this page, go back to $application and sign in."
            "$sign_in"
        },
    ),
    "reset-password": PageText(
        "Choose a new password",
        "../reset-password",
        "",
        USERNAME + NEW_FIELD,
        "Set password",
        {
            "done": "Your new password is set, and all devices were signed out. Go back to $application and sign in "
            "with the new password.$sign_in"
        },
    ),
    "keep-email": PageText(
        "Keep your e-mail address",
        "../email/keep",
        "An administrator has requested another e-mail address for your account. You can stop this change.",
        "",
        "Keep my address",
        {
            "done": "The change was stopped, and your account keeps its e-mail address. You can close this page.",
            "invalid-link": STOPPED.format(change="change"),
        },
    ),
    "keep-factors": PageText(
        "Keep your authenticator app or passkeys",
        "../factors/keep",
        "An administrator wants to remove authenticator apps and passkeys from your account. You can stop this.",
        "",
        "Keep them",
        {
            "done": "The removal was stopped, and your account keeps its authenticator app and passkeys. If you did "
            "not ask for the removal, somebody else may know your password: change it. You can close this page.",
            "invalid-link": STOPPED.format(change="removal"),
        },
    ),
    "confirm-email": PageText(
        "Change your e-mail address",
        "../confirm-email",
        "A change of the e-mail address of an account was requested, and waits for your agreement.",
        PASSWORD_IF_ASKED,
        "Confirm the change",
        {
            "waiting": "Thank you. The change takes effect once the link sent to the other address is used as well.",
            "changed": "Your e-mail address has been changed. Use the new address to sign in from now on.$sign_in",
            "account-exists": "Another account now uses this e-mail address. Nothing was changed.",
        },
    ),
}
