"""Verifications per second in process, beside plain PyJWT in the same run: `python -m bench.verifier`."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import click
import jwt

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Verifier
from bench import machine

TOKENS = 2_000
WARM_TURNS = 20  # for each cold one: a remembered token takes so much less time


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Rounds, each with every kind by turns.")
def main(rounds: int) -> None:
    """Print the median rate of each kind, and its ratio to plain PyJWT (the median of each round's own ratio)."""
    found = asyncio.run(_measure(rounds))
    for name, rates in found.items():
        ratio = statistics.median(rate / plain for rate, plain in zip(rates, found["PyJWT"], strict=True))
        print(f"{name}: {statistics.median(rates):,.0f} per second, {ratio:.2f} times PyJWT")
    versions = ", ".join(f"{name} {version(name)}" for name in ("pyjwt", "cryptography"))
    print(", ".join(f"{name} {value}" for name, value in machine.describe().items()) + f", {versions}")


async def _measure(rounds: int) -> dict[str, list[float]]:
    kit = AuthKit()
    tokens = [kit.token() for _ in range(TOKENS)]
    warm, cold = Verifier(kit.issuer), Verifier(kit.issuer, remember=0)
    for verifier in (warm, cold):
        kit.wire(verifier)
    (listed,) = kit.jwks["keys"]
    key = jwt.PyJWK(listed)

    async def plain(token: str) -> None:
        jwt.decode(token, key, ["ES256"], audience=kit.audience, issuer=kit.issuer, leeway=60)

    found: dict[str, list[float]] = {"PyJWT": [], "cold": [], "warm": []}
    for _ in range(rounds):
        found["PyJWT"].append(await _rate(plain, tokens))
        found["cold"].append(await _rate(cold.verify, tokens))
        await _rate(warm.verify, tokens)
        found["warm"].append(await _rate(warm.verify, tokens * WARM_TURNS))
    return found


async def _rate(verify: Callable[[str], Awaitable[object]], tokens: list[str]) -> float:
    """Tokens per second of this process's own CPU time, so that others on the machine count as little as can be."""
    started = time.process_time()
    for token in tokens:
        await verify(token)
    return len(tokens) / (time.process_time() - started)


if __name__ == "__main__":
    main()
