"""Passkeys in software: what a browser and its authenticator return, good or as an attacker would have it."""

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

from .client import Client, bearer
from .problems import assert_problem

RP_ID = "example.test"
ORIGIN = "https://app.example.test"
PASSKEYS: dict[str, Any] = {"passkeys": {"rp_id": RP_ID, "origins": (ORIGIN,)}}
REQUIRED: dict[str, Any] = {"passkeys": {**PASSKEYS["passkeys"], "required_roles": ("user", "admin")}}
UP, UV, BE, BS, AT = 1, 4, 8, 16, 64  # flags of authenticator data (Web Authentication Level 3, section 6.1)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey:
    """A passkey of the factor `id`; `tokens` and `recovery_codes` are what adding it gave.

    It is synced unless it is `bound` to its device; `count` is that of its last signature.
    """

    bound: bool = False
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    user_handle: bytes = b""
    id: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)
    recovery_codes: list[str] = field(default_factory=list)

    @property
    def flags(self) -> int:
        return UP | UV | (0 if self.bound else BE | BS)

    def authenticator_data(self, flags: int, rp_id: str, more: bytes = b"") -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags, self.count) + more

    def cose_key(self) -> bytes:
        point = self.key.public_key().public_numbers()
        return cbor.encode({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})

    def made_for(self, public_key: dict[str, Any], *, flags: int | None = None, **more: Any) -> dict[str, Any]:
        """What `navigator.credentials.create()` returns for these options, as JSON."""
        self.user_handle = decode(public_key["user"]["id"])
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + self.cose_key()
        flags = (self.flags if flags is None else flags) | AT
        data = self.authenticator_data(flags, more.pop("rp_id", RP_ID), attested)
        response = {
            "clientDataJSON": encode(client_data("webauthn.create", public_key["challenge"], **more)),
            "attestationObject": encode(cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal", "hybrid"],
        }
        return self._credential(response)

    def signed_for(self, public_key: dict[str, Any], *, flags: int | None = None, **more: Any) -> dict[str, Any]:
        """What `navigator.credentials.get()` returns for these options, as JSON; a bound one counts its signatures."""
        self.count += self.bound
        data = self.authenticator_data(self.flags if flags is None else flags, more.pop("rp_id", RP_ID))
        said = client_data("webauthn.get", public_key["challenge"], **more)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            {
                "clientDataJSON": encode(said),
                "authenticatorData": encode(data),
                "signature": encode(signature),
                "userHandle": encode(self.user_handle),
            }
        )

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


def client_data(kind: str, challenge: str, *, origin: str = ORIGIN, **more: Any) -> bytes:
    said = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False, **more}
    return json.dumps({**said, "other_keys_can_be_added_here": "do not compare"}).encode()


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


async def second(client: Client, challenge: str, credential: dict[str, Any], **more: Any) -> Any:
    body = {"challenge": challenge, "credential": credential}
    return await client.post("/auth/login/second-factor", json=body, **more)


async def step_up_options(client: Client, access_token: str) -> Any:
    return await client.post("/auth/step-up/options", headers=bearer(access_token))


async def step_up(client: Client, access_token: str, challenge: str, credential: dict[str, Any]) -> Any:
    body = {"challenge": challenge, "credential": credential}
    return await client.post("/auth/step-up", json=body, headers=bearer(access_token))
