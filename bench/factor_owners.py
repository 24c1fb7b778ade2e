"""What owners of second factors do: sign in with codes and passkeys, step up, and change what they sign in with."""

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.devices import Device
from tests.support import passkeys
from tests.support.authenticator import STEP, Authenticator
from tests.support.client import Client, bearer
from tests.support.passkeys import Passkey

OWNERS = 20
# Of a thousand things that they do. So few wrong codes that one address is not made to wait for them.
SHARES = {
    "code": 320, "recovery code": 100, "passkey": 250, "passkey after the password": 40, "step-up": 110, "factors": 100,
    "new app": 25, "app removed": 10, "new passkey": 25, "first app": 10, "wrong code": 10,
}  # fmt: skip


@dataclass
class Owner(Device):
    """Somebody with a passkey, and nearly always with an authenticator app too."""

    app: Authenticator | None = None
    passkey: Passkey = field(default_factory=Passkey)
    recovery_codes: list[str] = field(default_factory=list)
    used_step: int = 0

    def fresh_code(self) -> str | None:
        """The code of now; None if there is no app, or this code was used: it is good once."""
        step = int(time.time()) // STEP
        if self.app is None or step <= self.used_step:
            return None
        self.used_step = step
        return self.app.code()


class FactorOwners:
    """Each thing is several requests, and its status that of the last; HTTPStatusError if one before is not granted."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._others = itertools.count()
        self.does: dict[str, Callable[[Owner], Awaitable[int]]] = {
            "code": self._code, "recovery code": self._recovery_code, "passkey": self._passkey,
            "passkey after the password": self._passkey_second, "step-up": self._step_up, "factors": self._factors,
            "new app": self._new_app, "app removed": self._remove_app, "new passkey": self._new_passkey,
            "first app": self._first_app, "wrong code": self._wrong_code,
        }  # fmt: skip

    async def enrol(self, owner: Owner) -> None:
        """Register somebody, and add an app and a passkey."""
        (await self._client.register(owner.email)).raise_for_status()
        owner.take(await self._client.sign_in(owner.email))
        await self._add_app(owner)
        await self._add_passkey(owner)

    async def log_in(self, owner: Owner) -> int:
        """Sign in by what is at hand: a code, or else the passkey."""
        code = owner.fresh_code()
        return await (self._second_step(owner, code) if code else self._passkey(owner))

    async def _code(self, owner: Owner) -> int:
        code = owner.fresh_code()
        return await (self._second_step(owner, code) if code else self._recovery_code(owner))

    async def _recovery_code(self, owner: Owner) -> int:
        if not owner.recovery_codes:
            await self._step_up(owner)
            answer = await self._client.renew_recovery_codes(owner.access_token)
            owner.recovery_codes = answer.raise_for_status().json()["recovery_codes"]
        return await self._second_step(owner, owner.recovery_codes.pop())

    async def _second_step(self, owner: Owner, code: str) -> int:
        answer = await self._client.second_factor(await self._challenge(owner), code)
        owner.take(answer.raise_for_status().json())
        return answer.status_code

    async def _challenge(self, owner: Owner) -> str:
        answer = await self._client.login(owner.email)
        challenge: str = (answer if answer.status_code == 403 else answer.raise_for_status()).json()["challenge"]
        return challenge

    async def _passkey(self, owner: Owner) -> int:
        owner.take(await owner.passkey.sign_in(self._client))
        return 200

    async def _passkey_second(self, owner: Owner) -> int:
        challenge = await self._challenge(owner)
        credential = owner.passkey.signed_for(passkeys.for_challenge(challenge))
        answer = await passkeys.second(self._client, challenge, credential)
        owner.take(answer.raise_for_status().json())
        return 200

    async def _step_up(self, owner: Owner) -> int:
        code = owner.fresh_code()
        if code:
            answer = await self._client.step_up(owner.access_token, code=code)
        else:
            begun = (await passkeys.step_up_options(self._client, owner.access_token)).raise_for_status().json()
            credential = owner.passkey.signed_for(begun["public_key"])
            answer = await passkeys.step_up(self._client, owner.access_token, begun["challenge"], credential)
        owner.access_token = answer.raise_for_status().json()["access_token"]
        return 200

    async def _factors(self, owner: Owner) -> int:
        return (await self._client.get("/auth/me/factors", headers=bearer(owner.access_token))).status_code

    async def _new_app(self, owner: Owner) -> int:
        await self._step_up(owner)
        await self._add_app(owner)
        return 200

    async def _remove_app(self, owner: Owner) -> int:
        if owner.app is None:
            return await self._new_app(owner)
        await self._step_up(owner)
        removed, owner.app = owner.app, None
        return (await self._client.remove_factor(owner.access_token, removed.id)).status_code

    async def _new_passkey(self, owner: Owner) -> int:
        """Add one, and remove the one before."""
        await self._step_up(owner)
        before = owner.passkey
        await self._add_passkey(owner)
        return (await self._client.remove_factor(owner.access_token, before.id)).status_code

    async def _first_app(self, _owner: Owner) -> int:
        """Somebody new, whose first factor ends the session before; it is removed again, and the session ended."""
        email = f"soakers{next(self._others)}@example.com"
        (await self._client.register(email)).raise_for_status()
        app = await Authenticator.add(self._client, await self._client.sign_in(email))
        (await self._client.remove_factor(app.tokens["access_token"], app.id)).raise_for_status()
        return (await self._client.logout(app.tokens["refresh_token"])).status_code

    async def _wrong_code(self, owner: Owner) -> int:
        code = owner.app.wrong_code() if owner.app else "000000"
        return (await self._client.second_factor(await self._challenge(owner), code)).status_code

    async def _add_app(self, owner: Owner) -> None:
        tokens = {"access_token": owner.access_token, "refresh_token": owner.refresh_token}
        owner.app = await Authenticator.add(self._client, tokens)
        owner.used_step = 0
        owner.recovery_codes = owner.app.recovery_codes or owner.recovery_codes
        owner.take(owner.app.tokens)

    async def _add_passkey(self, owner: Owner) -> None:
        tokens = {"access_token": owner.access_token, "refresh_token": owner.refresh_token}
        owner.passkey = await Passkey.add(self._client, tokens)
        owner.recovery_codes = owner.passkey.recovery_codes or owner.recovery_codes
