"""The build of Argon2 for this processor: taken when it is there and works, and otherwise not."""

import json
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from auth_service.settings import runs_x86_64_v3
from tests.conftest import environment
from tests.support.claims import runs
from tests.support.markdown import ROOT
from tests.support.shell import Shell

NAME = f"argon2-cffi-bindings-{version('argon2-cffi-bindings')}-x86-64-v3.abi3.so"
BLAKE2B_IV = struct.pack("<Q", 0x6A09E667F3BCC908)
needs_v3 = pytest.mark.skipif(not runs_x86_64_v3(), reason="this processor does not run x86-64-v3")
needs_compiler = pytest.mark.skipif(
    not os.environ.get("CI") and not (shutil.which("cc") and Path(sysconfig.get_path("include"), "Python.h").exists()),
    reason="needs a C compiler and Python's headers, which this machine does not have",
)
HASH = """
import sys
from auth_service.security.passwords import argon2_build
from auth_service.security.passwords.hashing import Passwords
from auth_service.settings import PasswordSettings
passwords = Passwords(PasswordSettings(argon2_memory_kib=1024))
print(argon2_build.running(), passwords.hash("a password"), passwords.verify("a password", sys.argv[1])[0])
"""


class Environment:
    """A virtualenv of the test's own with our packages: the service looks into its `lib/argon2`."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
        (packages,) = folder.glob("lib/python3*/site-packages")
        (packages / "ours.pth").write_text("\n".join([str(ROOT), *filter(os.path.isdir, sys.path)]))
        self._folder = folder
        self.builds = folder / "lib" / "argon2"
        self.builds.mkdir()

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(self._folder / "bin" / "python"), *arguments]
        inherited = {"PATH": os.environ["PATH"], **(env or {})}
        return subprocess.run(
            command, env=inherited, cwd=self._folder, capture_output=True, text=True, timeout=60, check=False
        )

    def doctor(self) -> tuple[str, str, str]:
        """Return the build that `auth-service doctor` timed, what its check says, and its standard error."""
        env = environment(f"sqlite+aiosqlite:///{self._folder}/auth.db")
        done = self.run("-m", "auth_service", "doctor", "--json", "--target", "10", env=env)
        report: dict[str, Any] = json.loads(done.stdout)
        (check,) = (check for check in report["checks"] if check["name"] == "argon2 build")
        assert check["ok"]
        return report["hashing"]["build"], check["detail"], done.stderr

    def hash(self, other: str) -> list[str]:
        """Return the build, a hash by it of a password, and whether it verifies another hash of the same."""
        done = self.run("-c", HASH, other)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()


@pytest.fixture
def ours(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "venv")


def portable() -> bytes:
    spec = find_spec("_argon2_cffi_bindings._ffi")
    assert spec
    assert spec.origin
    return Path(spec.origin).read_bytes()


@needs_v3
def test_one_of_another_version_is_not_taken_and_the_doctor_says_that_there_is_a_better_one(ours: Environment) -> None:
    (ours.builds / NAME.replace(version("argon2-cffi-bindings"), "21.2.0")).write_bytes(portable())
    build, told, error = ours.doctor()
    assert (build, error) == ("portable", "")
    assert told.startswith("portable, and this processor runs x86-64-v3")


@needs_v3
def test_one_that_is_there_and_works_is_taken(ours: Environment) -> None:
    (ours.builds / NAME).write_bytes(portable())  # it goes by its name: only its speed is not that of x86-64-v3
    assert ours.doctor() == ("x86-64-v3", "x86-64-v3", "")


@needs_v3
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x7fELF and no more", "ImportError"),
        (portable().replace(BLAKE2B_IV, BLAKE2B_IV[::-1]), "a known answer is wrong"),
    ],
    ids=["damaged", "computes wrong"],
)
def test_one_that_does_not_work_is_not_taken_and_the_log_says_why(content: bytes, why: str, ours: Environment) -> None:
    (ours.builds / NAME).write_bytes(content)
    build, _, error = ours.doctor()
    told = json.loads(error)
    assert (build, told["event"], told["level"]) == ("portable", "hashing.build_unusable", "warning")
    assert why in told["because"]


@needs_v3
@needs_compiler
@runs("docs/operating.md", "run: argon2")
def test_hashes_of_the_build_from_source_verify_with_the_portable_one_and_the_other_way_round(
    ours: Environment, tmp_path: Path
) -> None:
    _, portably, _ = Environment(tmp_path / "other").hash("-")
    here = {"/srv/auth/bin/python": sys.executable, "/srv/auth/lib/argon2": str(ours.builds)}
    printed = Shell(ROOT, os.environ).follow("docs/operating.md", "run: argon2", replaced=here)
    assert printed == f"{ours.builds / NAME}\n"
    build, hashed, verifies = ours.hash(portably)
    assert (build, verifies) == ("x86-64-v3", "True")
    assert Environment(tmp_path / "third").hash(hashed)[::2] == ["portable", "True"]


def test_on_another_architecture_nothing_is_built(tmp_path: Path) -> None:
    (tmp_path / "uname").write_text("#!/bin/sh\necho Linux aarch64\n")
    (tmp_path / "uname").chmod(0o755)
    script = [ROOT / "deploy" / "build-argon2", tmp_path / "argon2"]
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(script, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "nothing to build on Linux aarch64\n")
    assert list((tmp_path / "argon2").iterdir()) == []
