"""The verifier needs what its extra names and nothing else: neither the service's dependencies nor its code."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from auth_service.testing.kit import AuthKit
from tests.support.markdown import ROOT
from tests.support.stand_in import INTERNAL_TOKEN, StandIn

SERVICE = """
import asyncio, sys
from auth_service.verifier import Verifier
from auth_service.verifier.asgi import VerifierMiddleware

async def main(issuer, service, internal_token, token):
    async with Verifier(issuer, service=service, internal_token=internal_token) as verifier:
        print((await verifier.verify(token)).session_id)

asyncio.run(main(*sys.argv[1:]))
"""


def needed(requirement: str) -> Iterator[Distribution]:
    """A requirement's distribution, and those that it needs in turn."""
    wanted = Requirement(requirement)
    found = distribution(wanted.name)
    yield found
    for inner in map(Requirement, found.requires or []):
        extras = wanted.extras or {""}
        if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
            yield from needed(str(inner))


def test_the_verifier_runs_with_nothing_but_its_extra_installed(
    tmp_path: Path, kit: AuthKit, stand_in: StandIn
) -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (tmp_path / "auth_service").symlink_to(ROOT / "auth_service")
    for requirement in pyproject["project"]["optional-dependencies"]["verifier"]:
        for found in needed(requirement):
            for name in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}:
                if not (tmp_path / name).exists():
                    (tmp_path / name).symlink_to(str(found.locate_file(name)))
    assert not {"fastapi", "sqlalchemy", "structlog", "click", "pydantic"} & {path.name for path in tmp_path.iterdir()}
    script = f"import sys; sys.path.append({str(tmp_path)!r})\n{SERVICE}"
    arguments = [kit.issuer, stand_in.url, INTERNAL_TOKEN, kit.token()]
    command = [sys.executable, "-I", "-S", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == 36
