"""An auth service that exists in this process only: its keys, its tokens, and verifiers that believe it."""

import asyncio
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from auth_service.verifier import Verifier
from auth_service.verifier.keys import Keys
from auth_service.verifier.revocations import FollowedRevocations
from auth_service.verifier.sign_ins import Level
from auth_service.verifier.tokens import ALGORITHM, TYPE

ISSUER = "https://auth.test"
LIFETIME = 300  # seconds
METHODS: dict[Level, list[str]] = {"aal1": ["pwd"], "aal2": ["pwd", "otp", "mfa"], "phr": ["hwk", "user"]}  # RFC 8176
LONG_AGO = 3600  # seconds; beyond every leeway


class AuthKit:
    """Signs tokens for one issuer and one audience. Everything takes effect at once, in each wired verifier."""

    def __init__(self, issuer: str = ISSUER, audience: str | None = None) -> None:
        self.issuer = issuer
        self.audience = audience or issuer
        self.ended: set[UUID] = set()
        self.jwks: dict[str, Any] = {"keys": []}
        self._wired: list[tuple[Verifier, Keys, FollowedRevocations | None]] = []
        self.rotate()

    @cached_property
    def verifier(self) -> Verifier:
        """A verifier that is wired already, for code that takes one."""
        made = Verifier(self.issuer, audience=self.audience, service=ISSUER)  # which it never asks
        self.wire(made)
        return made

    def token(
        self,
        user_id: UUID | None = None,
        *,
        roles: Sequence[str] = ("user",),
        session_id: UUID | None = None,
        acr: Level | None = "aal1",
        **claims: Any,
    ) -> str:
        """Return a good token of any user, who has just signed in with a password.

        `acr` is for whoever signed in otherwise, and brings its own `amr`; None is for a token of an older service,
        which does not say. More claims, such as `exp`, `auth_time` (both in seconds since 1970) or `amr`, take the
        place of the good ones.

        Raises:
            ValueError: no role is named; the service signs no such token, and verifiers refuse it.
        """
        if not roles:
            raise ValueError("a token has a role: name one that your service does not ask for")
        now = int(time.time())
        said = {
            "iss": self.issuer, "aud": self.audience, "sub": str(user_id or uuid4()), "sid": str(session_id or uuid4()),
            "client_id": "first-party", "jti": str(uuid4()), "iat": now, "exp": now + LIFETIME, "roles": list(roles),
        }  # fmt: skip
        sign_in = {"auth_time": claims.get("iat", now), "acr": acr, "amr": METHODS[acr]} if acr else {}
        return self._signed(self._key, said | sign_in | claims)

    def headers(self, user_id: UUID | None = None, **like_token: Any) -> dict[str, str]:
        """Return the Authorization header of a good token; takes what `token` takes."""
        return {"Authorization": f"Bearer {self.token(user_id, **like_token)}"}

    def expired(self, user_id: UUID | None = None, **like_token: Any) -> str:
        """Return a token that was good an hour ago."""
        now = int(time.time()) - LONG_AGO
        return self.token(user_id, **{"iat": now - LIFETIME, "exp": now, **like_token})

    def for_another_audience(self, user_id: UUID | None = None, **like_token: Any) -> str:
        """Return a token of the same issuer for another audience."""
        return self.token(user_id, **{"aud": "https://another.test", **like_token})

    def revoked(self, user_id: UUID | None = None, **like_token: Any) -> str:
        """Return a token whose session has ended."""
        session_id = like_token.pop("session_id", None) or uuid4()
        self.end(session_id)
        return self.token(user_id, session_id=session_id, **like_token)

    def forged(self, user_id: UUID | None = None, **like_token: Any) -> str:
        """Return a token that names the right key and was signed by another."""
        said = jwt.decode(self.token(user_id, **like_token), options={"verify_signature": False})
        return self._signed(ec.generate_private_key(ec.SECP256R1()), said)

    def end(self, session_id: UUID) -> None:
        """Log a session out."""
        self.ended.add(session_id)

    def rotate(self, *, withdraw: bool = False) -> None:
        """Sign with a new key from now on. Tokens of the old ones stay good, unless these are withdrawn."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = uuid4().hex
        public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        new = {**public, "kid": self._kid, "alg": ALGORITHM, "use": "sig"}
        self.jwks = {"keys": [new] if withdraw else [*self.jwks["keys"], new]}
        for verifier, _, _ in self._wired:
            verifier.keys.take(self.jwks)

    def wire(self, verifier: Verifier) -> None:
        """Let a verifier of the code under test believe this kit, whose issuer and audience become the verifier's.

        Raises:
            ValueError: an earlier one has others: a kit is one auth service.
        """
        names = (verifier.tokens.issuers[-1], verifier.tokens.audiences[-1])
        if self._wired and names != (self.issuer, self.audience):
            raise ValueError("this kit is another verifier's service already; make a second AuthKit")
        self.issuer, self.audience = names
        self._wired.append((verifier, verifier.keys, verifier.revocations))
        verifier.remembered.clear()
        verifier.keys = _KitKeys(self, verifier)
        verifier.revocations = verifier.revocations and _KitRevocations(self, verifier)

    def unwire(self) -> None:
        """Give every verifier back as it was."""
        while self._wired:
            verifier, keys, revocations = self._wired.pop()
            verifier.keys, verifier.revocations = keys, revocations
            verifier.remembered.clear()

    def _signed(self, key: ec.EllipticCurvePrivateKey, said: dict[str, Any]) -> str:
        return jwt.encode(said, key, ALGORITHM, {"typ": TYPE, "kid": self._kid})


class _KitKeys(Keys):
    """The kit's keys, known without asking."""

    look_again_every = 0.0

    def __init__(self, kit: AuthKit, verifier: Verifier) -> None:
        super().__init__(verifier.service, verifier.remembered.clear)
        self._kit = kit
        self.take(kit.jwks)

    async def read(self) -> None:
        self.take(self._kit.jwks)

    async def follow(self) -> None:
        await asyncio.Event().wait()


class _KitRevocations(FollowedRevocations):
    """The sessions that the kit has ended, always fresh."""

    def __init__(self, kit: AuthKit, verifier: Verifier) -> None:
        super().__init__(verifier.service, verifier.tokens.leeway)
        self._kit = kit

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self._kit.ended

    @property
    def age(self) -> float:
        return 0.0

    async def read(self, _wait: int = 0) -> None:
        return

    async def follow(self) -> None:
        await asyncio.Event().wait()
