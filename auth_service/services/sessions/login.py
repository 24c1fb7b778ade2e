"""A login with a name and a password, step by step."""

from collections import Counter
from collections.abc import Awaitable, Callable

from auth_service.errors import InvalidCredentials
from auth_service.identifiers import canonical_email, canonical_username
from auth_service.models import BY_PASSWORD, Device, FactorPolicy, LoginAccount, SecurityEvent
from auth_service.repositories.users.users import by_email, by_username
from auth_service.services.operations.audit import Audit
from auth_service.services.passwords.login_check import LoginCheck
from auth_service.services.sessions.challenges import Challenges
from auth_service.services.sessions.login_outcomes import LoginOutcome, counted
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.token_issuer import TokenPair
from auth_service.services.throttling.throttle import Throttler


class Login:
    """`apply_due_reset` makes a reset of an account's second factors, if it is due, and returns the account then."""

    def __init__(
        self,
        *,
        sign_in: SignIn,
        challenges: Challenges,
        login_check: LoginCheck,
        throttle: Throttler,
        audit: Audit,
        factor_policy: FactorPolicy,
        apply_due_reset: Callable[[LoginAccount], Awaitable[LoginAccount]],
        verified_only: bool,
    ) -> None:
        self._sign_in = sign_in
        self._challenges = challenges
        self._login_check = login_check
        self._throttle = throttle
        self._audit = audit
        self._factor_policy = factor_policy
        self._apply_due_reset = apply_due_reset
        self._verified_only = verified_only
        self.outcomes: Counter[LoginOutcome] = Counter()

    async def login(self, email: str | None, username: str | None, password: str, device: Device) -> TokenPair:
        """Open a session for a client that knows the password; exactly one of `email` and `username` is given.

        Raises:
            SecondFactorRequired: the password is right, and the account has a second factor.
            SecondFactorEnrolmentRequired: the password is right, and the account must have one and has none.
            InvalidCredentials: unknown account, wrong password and disabled account alike, after the same time.
            HashingOverloaded: there is no room in the lane; nothing was looked up.
            TooManyAttempts: before that work, for known and unknown accounts alike.
        """
        with counted(self.outcomes):
            return await self._log_in(email, username, password, device)

    async def _log_in(self, email: str | None, username: str | None, password: str, device: Device) -> TokenPair:
        self._login_check.lane.ensure_room()
        name = canonical_email(email) if email is not None else canonical_username(username or "")
        lookup = by_email(name) if email is not None else by_username(name)
        account, reserved = await self._throttle.login(lookup, name, device.ip)
        async with reserved as attempt:
            may_sign_in = account and account.is_active and (account.is_verified or not self._verified_only)
            stored = account.hashed_password if account and may_sign_in else None
            right, replacement = await self._login_check.verify(password, stored)
            if account is None or not right:
                await self._audit.record(SecurityEvent.LOGIN_FAILED, account.id if account else None)
                raise InvalidCredentials
            if account.awaits_reset:
                account = await self._apply_due_reset(account)
            if account.has_factor:
                raise await self._challenges.ask_for_factor(account, attempt, replacement)
            if self._factor_policy.asks(account.role):
                raise await self._challenges.ask_for_enrolment(account, attempt, replacement)
            return await self._sign_in.sign_in(account, BY_PASSWORD, device, attempt, replacement=replacement)
