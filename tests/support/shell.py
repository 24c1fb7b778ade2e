"""Shell blocks of the pages, run as somebody does who pastes them; and the answers that some of them show."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from .markdown import named, ran
from .postgres import programs

MAKE = "make() { :; }"  # prepared where `make run` would set up and serve: the test's own server does

_BETWEEN_STEPS = "<<<next>>>"
# For servers of pages that are followed without settings: a machine that stands still for a while is no outage.
PATIENT = {
    "DB_STATEMENT_TIMEOUT": "30", "DB_CONNECT_TIMEOUT": "30", "DB_POOL_TIMEOUT": "2", "AUTH_HASHING__DEADLINE": "30",
}  # fmt: skip


def needs(*commands: str) -> pytest.MarkDecorator:
    """Skip a test where these programs are not installed, but never in CI."""
    missing = [] if os.environ.get("CI") else [command for command in commands if not shutil.which(command)]
    return pytest.mark.skipif(bool(missing), reason=f"the page needs {', '.join(missing)}, which this machine lacks")


class Shell:
    """A shell in a folder, with `auth-service`, `psql` and what else is installed here.

    It has the variables in `env` and no others of ours; `prepared` is what it does before it follows a page.
    """

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None, prepared: str = "") -> None:
        path = f"{programs()}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._folder, self._prepared = folder, prepared
        self._env = {"PATH": path, "HOME": str(folder), "no_proxy": "127.0.0.1,localhost", **(env or {})}

    def follow(self, page: str, *names: str, replaced: Mapping[str, str] | None = None, given: str = "") -> str:
        """Run blocks of a page, up to the first error, and return what they print.

        `replaced` has the addresses and paths of the page in whose place a test has its own, `given` is the standard
        input. Fails unless all of it ends with 0 within five minutes.
        """
        printed = self.run(_script(page, names, replaced or {}), given)
        for name in names:
            ran(page, name)
        return printed

    def follow_transcript(
        self,
        page: str,
        *names: str,
        replaced: Mapping[str, str] | None = None,
        before: Mapping[str, str] | None = None,
    ) -> None:
        """Run blocks, and fail if an answer is not the one in the comment below its command.

        `...` in a comment stands for anything within one string. `before` has what happens before a command, by the
        words with which that begins.
        """
        script = _script(page, names, replaced or {})
        for command, event in (before or {}).items():
            script = script.replace(f"\n{command}", f"\n{event}\n{command}")
        commands = re.split(r"^# [^\n]*\n", script, flags=re.MULTILINE)
        shown = re.findall(r"^# ([^\n]*)\n", script, re.MULTILINE)
        assert shown, f"{page}: {names} show no answers"
        done = self._run(f"\necho '{_BETWEEN_STEPS}'\n".join(commands), "")
        answers = [answer.strip() for answer in done.stdout.split(_BETWEEN_STEPS)]
        for command, expected, answer in zip(commands, shown, answers, strict=False):
            pattern = '[^"]+'.join(map(re.escape, expected.split("...")))
            assert re.fullmatch(pattern, answer), f"{command}\nshown:  {expected}\nanswer: {answer}\n{done.stderr}"
        assert len(answers) == len(commands)
        for name in names:
            ran(page, name)

    def run(self, script: str, given: str = "") -> str:
        """Run commands of a test's own, and return what they print; fails unless all of it ends with 0."""
        return self._run(script, given).stdout

    def _run(self, script: str, given: str) -> subprocess.CompletedProcess[str]:
        shell = ["bash", "-euo", "pipefail", "-c", f"{self._prepared}\n{script}"]
        done = subprocess.run(
            shell, cwd=self._folder, env=self._env, input=given, capture_output=True, text=True, timeout=300,
            start_new_session=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done


def _script(page: str, names: tuple[str, ...], replaced: Mapping[str, str]) -> str:
    script = "\n".join(named(page, name).text for name in names)
    for theirs, ours in replaced.items():
        assert theirs in script, f"{page} does not say {theirs!r} any more"
        script = script.replace(theirs, ours)
    return script
