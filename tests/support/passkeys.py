"""Passkeys of accounts: what a browser returns as JSON, good or as an attacker would have it, and how it is sent."""

import base64
import itertools
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from .client import Client, bearer
from .problems import assert_problem
from .soft_passkey import AT, BE, BS, CREATE, GET, UP, UV, SoftPasskey

UNNAMED = UUID(int=0)  # as authenticators say that keep their model to themselves
RP_ID = "example.test"
ORIGIN = "https://app.example.test"
PASSKEYS: dict[str, Any] = {"passkeys": {"rp_id": RP_ID, "origins": (ORIGIN,)}}
ENROL = "second-factor-enrolment-required"
REQUIRED: dict[str, Any] = {"passkeys": {**PASSKEYS["passkeys"], "required_roles": ("user", "admin")}}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey(SoftPasskey):
    """A passkey of the factor `id`; `tokens` and `recovery_codes` are what adding it gave.

    It is synced unless it is `bound` to its device. Each has a key of its own.
    """

    origin: str = ORIGIN
    rp_id: str = RP_ID
    sign_count: int = 0
    key_number: int = field(default_factory=itertools.count(1).__next__)
    aaguid: UUID = UNNAMED
    bound: bool = False
    user_handle: bytes = b""
    id: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)
    recovery_codes: list[str] = field(default_factory=list)

    def flags_or(self, flags: int | None) -> int:
        """Those that are given, or its own."""
        return (UP | UV | (0 if self.bound else BE | BS)) if flags is None else flags

    def made_for(
        self, public_key: dict[str, Any], *, flags: int | None = None, rp_id: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """What `navigator.credentials.create()` returns for these options, as JSON."""
        self.user_handle = decode(public_key["user"]["id"])
        data = self.authenticator_data(self.attested(), self.flags_or(flags) | AT, rp_id)
        response = {
            "clientDataJSON": encode(self._said(CREATE, public_key, more)),
            "attestationObject": encode(self.attestation(data)),
            "transports": ["internal", "hybrid"],
        }
        return self._credential(response)

    def signed_for(
        self, public_key: dict[str, Any], *, flags: int | None = None, rp_id: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """What `navigator.credentials.get()` returns for these options, as JSON; a bound one counts its signatures."""
        self.sign_count += self.bound
        data, said = self.authenticator_data(b"", self.flags_or(flags), rp_id), self._said(GET, public_key, more)
        return self._credential(
            {
                "clientDataJSON": encode(said),
                "authenticatorData": encode(data),
                "signature": encode(self.sign(data, said)),
                "userHandle": encode(self.user_handle),
            }
        )

    def _said(self, ceremony: str, public_key: dict[str, Any], more: dict[str, Any]) -> bytes:
        members = {"challenge": public_key["challenge"], "other_keys_can_be_added_here": "do not compare", **more}
        return self.client_data(ceremony, "", **members)

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        name = encode(self.credential_id)
        return {
            "id": name, "rawId": name, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {"credProps": {"rk": True}}, "response": response,
        }  # fmt: skip

    @classmethod
    async def add(cls, client: Client, tokens: dict[str, Any], name: str | None = None, **how: Any) -> Self:
        """Add it to the account of these tokens; `tokens` are then those with which the owner goes on."""
        passkey = cls(**how)
        options = (await begin(client, tokens["access_token"])).raise_for_status().json()
        answer = await add(client, tokens["access_token"], options, passkey.made_for(options["public_key"]), name)
        told = answer.raise_for_status().json()
        passkey.id, passkey.recovery_codes = told["id"], told.get("recovery_codes", [])
        passkey.tokens = {name: told[name] for name in tokens} if "access_token" in told else tokens
        return passkey

    async def sign_in(self, client: Client) -> dict[str, Any]:
        """Sign in with it alone, and return the tokens."""
        options = (await login_options(client)).raise_for_status().json()
        answer = await login(client, options, self.signed_for(options["public_key"]))
        tokens: dict[str, Any] = answer.raise_for_status().json()
        return tokens


async def begin(client: Client, access_token: str) -> Any:
    return await client.post("/auth/me/passkeys/options", headers=bearer(access_token))


async def add(
    client: Client, access_token: str, options: dict[str, Any], credential: dict[str, Any], name: str | None = None
) -> Any:
    body = {"challenge": options["challenge"], "credential": credential, **({"name": name} if name else {})}
    return await client.post("/auth/me/passkeys", json=body, headers=bearer(access_token))


async def login_options(client: Client) -> Any:
    return await client.post("/auth/passkeys/options", json={})


async def login(client: Client, options: dict[str, Any], credential: dict[str, Any], **more: Any) -> Any:
    body = {"challenge": options["challenge"], "credential": credential}
    return await client.post("/auth/passkeys/login", json=body, **more)


async def sign(client: Client, passkey: Passkey, challenge: str | None = None, **how: Any) -> Any:
    """Sign in with a passkey alone, by a challenge of the service unless another one is given."""
    challenge = challenge or (await login_options(client)).json()["challenge"]
    return await login(client, {"challenge": challenge}, passkey.signed_for(for_challenge(challenge), **how))


def for_challenge(challenge: str) -> dict[str, Any]:
    """The part of some options that a signature needs."""
    return {"challenge": encode(challenge.encode())}


async def asked(client: Client, email: str = "ada@example.com") -> dict[str, Any]:
    """What the right password of an account with a passkey is answered with."""
    answer = await client.login(email)
    assert_problem(answer, 403, "second-factor-required")
    told: dict[str, Any] = answer.json()
    return told


async def enrolment(client: Client, challenge: str) -> dict[str, Any]:
    """What the browser is asked where a login adds a passkey."""
    answer = await client.post("/auth/login/enrol", json={"challenge": challenge})
    public_key: dict[str, Any] = answer.raise_for_status().json()["public_key"]
    return public_key


async def confirm_enrolment(client: Client, challenge: str, credential: dict[str, Any], **more: Any) -> Any:
    body = {"challenge": challenge, "credential": credential, **more}
    return await client.post("/auth/login/enrol/confirm", json=body)


async def enrolled(client: Client, passkey: Passkey, challenge: str | None = None) -> dict[str, Any]:
    """Add a passkey by a login, which is ada's unless a challenge is given, and return the answer."""
    challenge = challenge or (await client.login()).json()["challenge"]
    answer = await confirm_enrolment(client, challenge, passkey.made_for(await enrolment(client, challenge)))
    told: dict[str, Any] = answer.raise_for_status().json()
    passkey.tokens = told
    return told


async def second(client: Client, challenge: str, credential: dict[str, Any], **more: Any) -> Any:
    body = {"challenge": challenge, "credential": credential}
    return await client.post("/auth/login/second-factor", json=body, **more)


async def step_up_options(client: Client, access_token: str) -> Any:
    return await client.post("/auth/step-up/options", headers=bearer(access_token))


async def step_up(client: Client, access_token: str, challenge: str, credential: dict[str, Any]) -> Any:
    body = {"challenge": challenge, "credential": credential}
    return await client.post("/auth/step-up", json=body, headers=bearer(access_token))
