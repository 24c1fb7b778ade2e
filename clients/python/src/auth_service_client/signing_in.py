"""What somebody does who is not signed in: register, sign in, and use the links of e-mails."""

from collections.abc import Mapping
from typing import Any, Literal, cast

from auth_service_client.answers import Account, PasskeyAsked, PasskeyChallenge, TotpSecret
from auth_service_client.protocol import SessionProtocol
from auth_service_client.steps import Flow, said_in
from auth_service_client.use_case import use_case

Credential = Mapping[str, Any]  # a PublicKeyCredential as its toJSON() has it


class SigningIn:
    """Every method raises `TryAgainLater` where there is no answer, and `Refused` where the service says no."""

    _session: SessionProtocol

    @use_case
    def sign_up(self, email: str, password: str, username: str | None = None) -> Flow[Account | None]:
        """Register an account and return it; None where the service does not tell who has one already. It is not signed
        in.
        """
        body = {"email": email, "password": password, **({} if username is None else {"username": username})}
        said = said_in((yield from self._session.call("POST", "/auth/register", body)))
        return cast("Account", said) if "id" in said else None

    @use_case
    def sign_in(self, password: str, *, email: str | None = None, username: str | None = None) -> Flow[None]:
        """Sign in by one of the two names, and keep the session in place of any other.

        Raises:
            SecondFactorRequired: the password is right, and `second_factor()` comes next.
            EnrolmentRequired: the password is right, and `enrol()` comes next.
            ValueError: none of the two names is given, or both.
        """
        name = one_of(email=email, username=username)
        yield from self._session.open_session("/auth/login", {**name, "password": password})

    @use_case
    def second_factor(
        self, challenge: str, code: str | None = None, *, credential: Credential | None = None
    ) -> Flow[None]:
        """Finish a sign-in with a code of the app or a recovery code, or with what a passkey has signed of
        `SecondFactorRequired.public_key`.

        Raises:
            EnrolmentRequired: the account must add a passkey, too.
            ValueError: none of code and credential is given, or both.
        """
        proof = one_of(code=code, credential=credential)
        yield from self._session.open_session("/auth/login/second-factor", {"challenge": challenge, **proof})

    @use_case
    def enrol(self, challenge: str) -> Flow[TotpSecret | PasskeyAsked]:
        """Begin to add the second factor that the account must have: `secret` and `otpauth_uri` of an app, or
        `public_key` for a passkey. The same however often it is asked for.
        """
        said = said_in((yield from self._session.call("POST", "/auth/login/enrol", {"challenge": challenge})))
        return cast("TotpSecret | PasskeyAsked", said)

    @use_case
    def confirm_enrolment(
        self,
        challenge: str,
        code: str | None = None,
        *,
        credential: Credential | None = None,
        name: str | None = None,
    ) -> Flow[list[str]]:
        """Finish the sign-in with the app's first code, or with the passkey that was made, and its name; return the
        recovery codes, which nobody can show again. There are none if some from before are left.

        Raises:
            ValueError: none of code and credential is given, or both.
        """
        body = {"challenge": challenge, **one_of(code=code, credential=credential), **named(name)}
        return codes_of((yield from self._session.open_session("/auth/login/enrol/confirm", body)))

    @use_case
    def passkey_options(self) -> Flow[PasskeyChallenge]:
        """Begin a sign-in with a passkey alone. `public_key` is for whatever asks the user's authenticator."""
        return cast("PasskeyChallenge", said_in((yield from self._session.call("POST", "/auth/passkeys/options", {}))))

    @use_case
    def sign_in_with_passkey(self, challenge: str, credential: Credential) -> Flow[None]:
        """Sign in with what a passkey has signed of the options, and keep the session in place of any other."""
        yield from self._session.open_session(
            "/auth/passkeys/login", {"challenge": challenge, "credential": credential}
        )

    @use_case
    def forgot_password(self, email: str) -> Flow[None]:
        """Request the e-mail with a link to set a new password; the answer is the same for every address."""
        yield from self._session.call("POST", "/auth/forgot-password", {"email": email})

    @use_case
    def reset_password(self, link: str, new_password: str) -> Flow[None]:
        """Set the password with the token of that link. Every session of the account ends, and none is opened."""
        body = {"token": link, "new_password": new_password}
        yield from self._session.call("POST", "/auth/reset-password", body)

    @use_case
    def request_verification(self, email: str) -> Flow[None]:
        """Request another e-mail that verifies an address; the answer is the same for every address."""
        yield from self._session.call("POST", "/auth/verify-email/resend", {"email": email})

    @use_case
    def verify_email(self, link: str, *, password: str | None = None, new_password: str | None = None) -> Flow[None]:
        """Verify the address with the token of the link: with the password of the account, with a new one for whoever
        does not know it (which ends every session), or with neither if this client is signed in to the account.

        Raises:
            Refused: with the code `password-required` if neither is given and nobody is signed in here.
        """
        given = {"password": password, "new_password": new_password}
        body = {"token": link, **{name: value for name, value in given.items() if value is not None}}
        yield from self._as_owner_if_signed_in("/auth/verify-email", body, password or new_password)

    @use_case
    def confirm_email(self, link: str, *, password: str | None = None) -> Flow[Literal["waiting", "changed"]]:
        """Agree to a change of the address with the token of one of its two links; "waiting" if the other is missing.
        The password may be left out as above, and for the link to the old address.
        """
        body = {"token": link, **({} if password is None else {"password": password})}
        said = yield from self._as_owner_if_signed_in("/auth/confirm-email", body, password)
        return "changed" if said.get("status") == "changed" else "waiting"

    def _as_owner_if_signed_in(self, path: str, body: Mapping[str, Any], password: str | None) -> Flow[dict[str, Any]]:
        if password is None and (yield from self._session.is_signed_in()):
            return (yield from self._session.request("POST", path, body))
        return said_in((yield from self._session.call("POST", path, body)))


def one_of(**given: Any) -> dict[str, Any]:
    """Return the one that is given.

    Raises:
        ValueError: none is, or several are.
    """
    found = {name: value for name, value in given.items() if value is not None}
    if len(found) != 1:
        raise ValueError(f"give one of {' and '.join(given)}")
    return found


def named(name: str | None) -> dict[str, str]:
    return {} if name is None else {"name": name}


def codes_of(said: Mapping[str, Any]) -> list[str]:
    """The recovery codes of an answer, which most have not."""
    codes = said.get("recovery_codes") or []
    return list(codes) if isinstance(codes, list) else []
