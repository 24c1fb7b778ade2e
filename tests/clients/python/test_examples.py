"""The programs of the pages that use the Python client, as they stand there, with the wheel that the page builds."""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from auth_service_client import AuthClient, FileStore

from auth_service.testing.double import Double
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import ROOT, block
from tests.support.postgres import Postgres
from tests.support.python_client import age

PAGE = "docs/integrating.md"


@pytest.fixture
def email(auth_double: Double) -> str:
    """The address of an account."""
    address = f"{uuid4().hex}@example.com"
    with AuthClient(auth_double.url) as auth:
        auth.sign_up(address, PASSWORD)
    return address


@pytest.fixture
def tool(auth_double: Double, tmp_path: Path) -> Path:
    program = block(PAGE, "run: tool.py").replace("https://auth.example.com", auth_double.url)
    (tmp_path / "tool.py").write_text(program)
    return tmp_path / "tool.py"


def run(tool: Path, word: str, typed: str = "") -> tuple[int, str]:
    """Run a word of the tool, and return how it ended and what it said."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", tool, word],
        input=typed,
        env={"PYTHONPATH": str(ROOT / "clients/python/src"), "HOME": str(tool.parent)},
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).rpartition("Password:")[2].strip()


@runs(PAGE, "run: tool.py")
def test_the_tool_of_the_page_keeps_its_session_for_all_later_runs(tool: Path, email: str) -> None:
    assert run(tool, "whoami") == (1, "sign in first: tool.py login")
    assert run(tool, "login", f"{email}\na wrong guess\n") == (1, "The account or the password is wrong.")
    assert run(tool, "login", f"{email}\n{PASSWORD}\n") == (0, "")
    age(FileStore(tool.parent / ".config/example/session.json"))
    with ThreadPoolExecutor(3) as threads:
        assert set(threads.map(lambda _: run(tool, "whoami"), range(3))) == {(0, email)}
    assert run(tool, "logout") == (0, "")
    assert run(tool, "whoami") == (1, "sign in first: tool.py login")
    assert run(tool, "fly")[0] == 1


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database of the application's own."""
    name = f"app_{uuid4().hex}"
    postgres.create_database(name)
    yield re.sub(r"^postgresql\+\w+", "postgresql", postgres.url(name))
    postgres.drop_database(name)


@runs(PAGE, "run: back end")
async def test_the_back_end_of_the_page_keeps_a_session_for_each_user(
    auth_double: Double, database: str, email: str
) -> None:
    program = block(PAGE, "run: back end")
    for written, meant in {
        "https://auth.example.com": auth_double.url, "postgresql://app@localhost/app": database,
    }.items():  # fmt: skip
        assert written in program
        program = program.replace(written, meant)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102  # that the page's code runs is the test
    app = names["app"]
    async with (
        names["lifespan"](app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://app.example.com") as browser,
    ):
        assert (await browser.get("/me")).status_code == 401
        wrong = await browser.post("/sign-in", json={"email": email, "password": "a wrong guess, and long"})
        assert (wrong.status_code, wrong.json()["detail"]) == (401, "The account or the password is wrong.")
        own_browser = {b"User-Agent": "Brauser é ż".encode()}
        signed_in = await browser.post("/sign-in", json={"email": email, "password": PASSWORD}, headers=own_browser)
        assert signed_in.status_code == 204
        for ahead in (0, 600):
            auth_double.set_clock(ahead)
            assert (await browser.get("/me")).json()["email"] == email
        auth_double.switch_faults({"route": "GET /auth/me", "fault": "unavailable"})
        assert (await browser.get("/me")).status_code == 503
        assert (await browser.post("/sign-out")).status_code == 204
        assert (await browser.get("/me")).status_code == 401
        assert await app.state.pool.fetchval("SELECT count(*) FROM sessions") == 0
