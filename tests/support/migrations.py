"""The schema's migrations: what `auth-service migrate` says of them, and the `alembic` command of the checkout."""

import contextlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.config import main as alembic_command

from tests.conftest import environment

ROOT = Path(__file__).parents[2]
_VERSIONS = ROOT / "migrations" / "versions"
APPLIED = f"applied: {', '.join(sorted(file.name[:4] for file in _VERSIONS.glob('*.py')))}\n"  # on an empty database


def alembic(url: str, *arguments: str) -> str:
    """Run the `alembic` command of the checkout, as a developer does, and return the SQL that it printed.

    Raises SystemExit when it fails, as `check` does when the models and the schema differ.
    """
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        for name, value in environment(url).items():
            patch.setenv(name, value)
        # In a thread, because it starts an event loop of its own.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(alembic_command, ["-c", str(ROOT / "alembic.ini"), *arguments]).result()
    return said.getvalue()
