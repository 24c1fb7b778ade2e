"""The command line in this process, for the many tests of it that need no process of their own."""

import asyncio
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auth_service.cli import main
from tests.conftest import environment
from tests.support import canaries


class Operator:
    """Runs `auth-service WORDS` on one database, from a folder of its own, with further settings."""

    def __init__(self, url: str, folder: Path, **settings: str) -> None:
        self.url = url
        self.folder = folder
        self.settings = settings

    def run(self, *words: str, code: int = 0, given: str | bytes | None = None) -> Result:
        """Return what a command printed, with `given` on its standard input; fails if its exit code is another.

        Nothing that it prints may hold a secret of the suite, unless it was asked for.
        """
        root = logging.getLogger()
        before, level = root.handlers[:], root.level
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            done = CliRunner().invoke(main, words, input=given, env=environment(self.url, **self.settings))
        root.handlers[:] = before
        root.setLevel(level)
        assert done.exit_code == code, done.output + repr(done.exception)
        if "--with-hashes" not in words:
            told = done.stderr if "reset-password" in words else done.output  # the link is the result
            canaries.assert_told_nothing(told, f"`auth-service {words}`")
        return done

    def write(self, name: str, text: str | bytes) -> str:
        """Write a file in the folder and return its path."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)


async def users(operator: Operator, *words: str, code: int = 0, given: str | None = None) -> str:
    """Run `auth-service users` beside the service, and return what it printed; if it failed, what it said of it."""
    done = await asyncio.to_thread(operator.run, "users", *words, code=code, given=given)
    return done.stderr.splitlines()[-1] if code else done.stdout
