"""The snippet of docs/verifying.md for Node that asks how and when somebody signed in: it agrees with the verifier."""

import json
import time
from itertools import product
from pathlib import Path
from typing import Any

from auth_service.testing.kit import AuthKit
from auth_service.verifier import InsufficientAuthentication
from auth_service.verifier.sign_ins import Level
from tests.interop.node import needs_node, run
from tests.support.claims import runs
from tests.support.forge import part
from tests.support.markdown import block

CLASSES: list[Level] = ["aal1", "aal2", "phr"]
PROGRAM = """
const cases = JSON.parse(process.argv[2]);
console.log(JSON.stringify(cases.map(([claims, required]) => isEnough(claims, required))));
"""


async def is_let_in(kit: AuthKit, token: str, required: dict[str, Any]) -> bool:
    try:
        await kit.verifier.verify(token, acr=required.get("leastAcr"), max_age=required.get("maxAge"))
    except InsufficientAuthentication:
        return False
    return True


@needs_node
@runs("docs/verifying.md", "run: node sign-ins")
async def test_the_snippet_lets_in_whom_the_verifier_lets_in(tmp_path: Path) -> None:
    kit, now = AuthKit(), int(time.time())
    whens = [now, now - 300, now - 361, now + 10]
    tokens = [kit.token(acr=acr, auth_time=when) for acr, when in product(CLASSES, whens)]
    tokens.append(kit.token(acr=None))
    tokens.append(kit._signed(kit._key, part(kit.token(), 1) | {"acr": "aal3"}))
    wanted: list[dict[str, Any]] = [{"leastAcr": acr} for acr in CLASSES]
    wanted += [{}, {"maxAge": 300}, {"leastAcr": "aal2", "maxAge": 300}]
    cases = list(product(tokens, wanted))
    (tmp_path / "signIns.mjs").write_text(block("docs/verifying.md", "run: node sign-ins") + PROGRAM)
    found = await run(tmp_path, "signIns.mjs", json.dumps([(part(token, 1), required) for token, required in cases]))
    assert found == [await is_let_in(kit, token, required) for token, required in cases]
    assert {True, False} == set(found)
