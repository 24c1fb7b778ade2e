"""Examples for the OpenAPI document, one of each body and of the commonest answers. A test sends the former."""

from typing import Any

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"  # noqa: S105  # an example
NEW_PASSWORD = "seven quiet rivers at dawn"  # noqa: S105
REFRESH_TOKEN = "art_..."  # noqa: S105
CHALLENGE = "chl_..."
LINK = "lnk_..."
CODE = "123456"
ID = "01990f6e-3a52-7d1b-9c4e-5f60718293a4"
AT = "2026-01-31T12:00:00Z"

_ACCOUNT = {
    "id": ID,
    "email": EMAIL,
    "username": "ada",
    "role": "user",
    "is_active": True,
    "is_verified": False,
    "created_at": AT,
    "updated_at": AT,
    "last_login_at": None,
}
_TOKENS = {
    "access_token": "eyJ...",
    "token_type": "Bearer",
    "expires_in": 300,
    "refresh_token": REFRESH_TOKEN,
    "refresh_expires_in": 1209600,
    "session_id": ID,
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "RegisterBody": {"email": EMAIL, "password": PASSWORD, "username": "ada"},
    "LoginBody": {"email": EMAIL, "password": PASSWORD},
    "RefreshTokenBody": {"refresh_token": REFRESH_TOKEN},
    "TokenForm": {"token": REFRESH_TOKEN},
    "ChangePasswordBody": {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    "RenameBody": {"username": "ada.lovelace"},
    "DeleteAccountBody": {"current_password": PASSWORD},
    "EmailBody": {"email": EMAIL},
    "LinkBody": {"token": LINK},
    "VerifyEmailBody": {"token": LINK, "password": PASSWORD},
    "ConfirmEmailBody": {"token": LINK, "password": PASSWORD},
    "ResetPasswordBody": {"token": LINK, "new_password": NEW_PASSWORD},
    "ChangeEmailBody": {"new_email": "ada@example.net", "current_password": PASSWORD},
    "CodeBody": {"code": CODE},
    "ChallengeBody": {"challenge": CHALLENGE},
    "SecondFactorBody": {"challenge": CHALLENGE, "code": CODE},
    "ConfirmEnrolmentBody": {"challenge": CHALLENGE, "code": CODE},
    "StepUpBody": {"password": PASSWORD},
    "NoFields": {},
    "PasskeyNameBody": {"name": "My phone"},
    "CreateUserBody": {"email": "grace@example.com", "username": "grace", "role": "user"},
    "ChangeRoleBody": {"role": "admin"},
    "DelayedEmailBody": {"email": "ada@example.net"},
    "Account": _ACCOUNT,
    "Tokens": _TOKENS,
    "Accepted": {"status": "accepted"},
    "RecoveryCodeList": {"recovery_codes": ["2f7q9-x3kdm-8wz4t-5hc6p"]},
    "SteppedUpToken": {"access_token": "eyJ...", "token_type": "Bearer", "expires_in": 300},
}


def _password(what: str, detail: str, **more: int) -> dict[str, Any]:
    return {"errors": [{"field": "password", "reason": f"password-{what}", "detail": detail, **more}]}


# What some problems tell beside what all do.
MEMBERS: dict[str, dict[str, Any]] = {
    "second-factor-required": {"challenge": CHALLENGE, "methods": ["totp", "recovery_code"], "expires_in": 300},
    "second-factor-enrolment-required": {"challenge": CHALLENGE, "methods": ["totp"], "expires_in": 300},
    "step-up-required": {"max_age": 600, "acr_values": "aal1 aal2 phr"},
    "validation-error": {"errors": [{"field": "email", "reason": "required", "detail": "This field is required."}]},
    "password-too-short": _password("too-short", "The password needs at least 15 characters.", limit=15),
    "password-too-long": _password("too-long", "The password may have at most 256 characters.", limit=256),
    "password-blocklisted": _password("blocklisted", "The password is easily guessed. Choose another."),
    "invalid-link": {"reason": "expired"},
    "invalid-request": {"error": "invalid_request"},
}
