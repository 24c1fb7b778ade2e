"""What the verifier remembers: it saves the signature, it is bounded, and nobody can fill it with forgeries."""

import jwt
import pytest

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Claims, Verifier
from auth_service.verifier.tokens import TokenCheck
from tests.support.verifiers import is_refused


class CountingTokens(TokenCheck):
    """Counts how often a signature is checked."""

    checks = 0

    def check(self, token: str, key: jwt.PyJWK) -> Claims:
        CountingTokens.checks += 1
        return super().check(token, key)


def counted(kit: AuthKit, remember: int) -> Verifier:
    """A wired verifier whose checks are counted, from zero."""
    verifier = Verifier(kit.issuer, remember=remember)
    kit.wire(verifier)
    verifier.tokens = CountingTokens(kit.issuer, kit.audience, 60.0)
    CountingTokens.checks = 0
    return verifier


async def test_a_remembered_token_costs_no_signature_and_forged_ones_push_it_out_of_nothing(kit: AuthKit) -> None:
    verifier, good = counted(kit, remember=10), kit.token()
    await verifier.verify(good)
    for _ in range(50):
        assert await is_refused(verifier, kit.forged())
    assert CountingTokens.checks == 51
    for _ in range(50):
        await verifier.verify(good)
    assert CountingTokens.checks == 51
    assert len(verifier.remembered) == 1


@pytest.mark.parametrize("remember", [0, 1, 10])
async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(kit: AuthKit, remember: int) -> None:
    verifier = counted(kit, remember)
    tokens = [kit.token() for _ in range(30)]
    for token in tokens:
        await verifier.verify(token)
    assert len(verifier.remembered) == remember
    for token in tokens[30 - remember :]:
        await verifier.verify(token)
    assert CountingTokens.checks == 30
    await verifier.verify(tokens[29 - remember])
    assert CountingTokens.checks == 31
