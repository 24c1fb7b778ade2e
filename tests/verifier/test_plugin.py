"""The test kit, as somebody meets it who has installed the package and writes a test."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth_service.testing.kit import AuthKit
from auth_service.verifier import Unavailable, Verifier
from tests.support.claims import runs
from tests.support.markdown import ROOT, block

EXAMPLES = 9
UNUSED = """
import sys

def test_the_plugin_imports_nothing_that_is_not_used():
    assert "auth_service.testing" in sys.modules
    unused = {"kit", "double"} & {name.removeprefix("auth_service.testing.") for name in sys.modules}
    assert not unused | {"auth_service.verifier", "jwt", "httpx2", "fastapi"} & set(sys.modules)
"""


def run_pytest(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Run these files in a pytest that finds our plugin by the entry point that pyproject.toml declares."""
    for name, content in files.items():
        (folder / f"{name}.py").write_text(content)
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    installed = folder / "installed" / "kit-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: kit\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("\n".join(["[pytest11]", *(f"{k} = {v}" for k, v in points.items())]))
    env = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("COV")},
        "PYTHONPATH": os.pathsep.join([str(installed.parent), str(ROOT)]),
        "AUTH_PUBLIC_URL": "https://auth.example.com",
        "INTERNAL_AUTH_URL": "http://auth.invalid",
        "AUTH_INTERNAL_TOKEN": "not used by any test",
    }
    unneeded = [
        f"-pno:{name}" for name in ("asyncio", "hypothesispytest", "schemathesis", "xdist", "pytest_cov", "anyio")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *unneeded, *(f"{name}.py" for name in files)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


@runs("docs/verifying.md", "run: orders", "run: refunds", "run: test_orders")
def test_the_example_of_the_page_passes(tmp_path: Path) -> None:
    orders, refunds, tests = (
        block("docs/verifying.md", f"run: {name}") for name in ("orders", "refunds", "test_orders")
    )
    done = run_pytest(tmp_path, orders=orders + refunds, test_orders=tests)
    assert f"{EXAMPLES} passed" in done.stdout, done.stdout + done.stderr


@runs("docs/testing-clients.md", "run: test_client")
def test_the_example_of_the_page_for_clients_passes(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, test_client=block("docs/testing-clients.md", "run: test_client"))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@runs("docs/verifying.md", "run: middleware")
async def test_the_middleware_of_the_page_asks_for_an_administrator(kit: AuthKit) -> None:
    async def inner(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    names: dict[str, Any] = {"app": inner, "verifier": kit.verifier}
    exec(block("docs/verifying.md", "run: middleware"), names)  # noqa: S102  # that the page's code runs is the test
    async with httpx.AsyncClient(transport=httpx.ASGITransport(names["app"]), base_url="http://orders.test") as http:
        statuses = [
            (await http.get(path, headers=headers)).status_code
            for path, headers in (
                ("/health", {}), ("/", {}), ("/", kit.headers()), ("/", kit.headers(roles=["admin"])),
            )
        ]  # fmt: skip
    assert statuses == [204, 401, 403, 204]


def test_the_plugin_costs_nobody_anything_who_does_not_use_it(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, test_unused=UNUSED)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


async def test_a_kit_is_one_service(kit: AuthKit) -> None:
    await kit.verifier.verify(kit.token())
    with pytest.raises(ValueError, match="second AuthKit"):
        kit.wire(Verifier("https://other.test"))


@pytest.mark.parametrize("make", [AuthKit.token, AuthKit.headers, AuthKit.expired])
def test_a_kit_makes_no_token_without_a_role_as_the_service_makes_none(kit: AuthKit, make: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="a token has a role"):
        make(kit, roles=[])


async def test_a_wired_verifier_needs_no_start_and_no_network_and_is_given_back(kit: AuthKit) -> None:
    mine = Verifier("https://auth.example.com", audience="orders", internal_token="x" * 16)
    kit.wire(mine)
    token = kit.token(roles=["admin"])
    async with mine:
        await mine.verify(token, "admin")
    await mine.verify(token, "admin")
    kit.unwire()
    with pytest.raises(Unavailable, match="is closed"):
        await mine.verify(token)
