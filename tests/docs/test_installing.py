"""The verifier in a fresh virtualenv, as docs/verifying.md installs it; and nothing is fetched by a name of ours."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

from auth_service.testing.kit import AuthKit
from tests.support.claims import runs
from tests.support.markdown import ROOT, text
from tests.support.shell import Shell
from tests.support.stand_in import INTERNAL_TOKEN, StandIn

PAGE = "docs/verifying.md"
REPOSITORY = "https://git.example.com/auth-service.git"
LEFT_OUT = {"ecdsa", "pyasn1", "rsa"}
SERVICE = """
import asyncio, sys
from auth_service.verifier import Verifier
from auth_service.verifier.asgi import VerifierMiddleware

async def main(issuer, service, internal_token, token):
    async with Verifier(issuer, service=service, internal_token=internal_token) as verifier:
        print((await verifier.verify(token)).session_id)

asyncio.run(main(*sys.argv[1:]))
"""
OURS = r"auth[-_]service"
# What would ask a public index or registry for something of our name, which somebody else may have registered.
FETCHES = (
    rf"\bpip3? (?:install|download|wheel) [^\n`]*(?<![\w./*-])[\"']?{OURS}(?:\[[\w,]*\])?[\"']?(?![\w./-])",
    rf"\b(?:uv (?:add|tool (?:install|run)|pip install)|uvx|pipx (?:install|run)) [^\n`]*{OURS}(?!\S*\.whl)",
    rf"\b(?:poetry|pdm) add [^\n`]*{OURS}(?!\S*\.whl)",
    rf"\b(?:npm (?:i|install|add|exec)|npx|pnpm (?:add|dlx)|yarn (?:add|dlx)|bun add) [^\n`]*{OURS}",
    rf"\bdocker pull [^\n`]*{OURS}",
    rf"\bdocker run (?!--pull never )[^\n`]*{OURS}",
    rf"\bhelm (?:install|upgrade|pull|repo add) [^\n`]*{OURS}",
    rf"^\s*(?:- )?{OURS}(?:\[[\w,]*\])? *(?:[=~<>!]=|[<>@]) *[\d\"']",
)


def repository(folder: Path) -> str:
    """The checkout as a repository, with a later commit that nobody has looked at."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.split("\0"):
        if name.startswith(("auth_service/", "migrations/", "deploy/sql/")) or (name and "/" not in name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    who = (
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@example.com",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "tag.gpgsign=false",
    )
    broken = ["rm", "-rqf", "auth_service"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], broken, ["commit", "-qm", "another"]):
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
    return folder.as_uri()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn(AuthKit()) as running:
        yield running


@runs(PAGE, "run: build", "run: install")
def test_the_verifier_is_installed_from_a_commit_without_what_it_does_not_need(
    tmp_path: Path, stand_in: StandIn
) -> None:
    virtualenv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", virtualenv], check=True, timeout=60)
    origin = tmp_path / "origin" / "auth-service.git"
    replaced = {REPOSITORY: repository(origin)}
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD~"], cwd=origin, capture_output=True, text=True, check=True
    ).stdout
    shell = Shell(tmp_path, prepared=f"PATH={virtualenv}/bin:$PATH COMMIT={commit.strip()}")
    shell.follow(PAGE, "run: build", replaced=replaced)
    shell.follow(PAGE, "run: install")
    installed = set(re.findall(r"^([\w.-]+)==", shell.run("pip list --format=freeze"), re.MULTILINE))
    assert {"auth-service", "httpx2", "PyJWT", "cryptography"} <= installed
    assert not {name.lower() for name in installed} & {*LEFT_OUT, "python-jose", "fastapi", "sqlalchemy"}
    told = re.search(r"that is (\d+) packages", text(PAGE))
    assert told
    assert len(installed - {"pip", "setuptools"}) <= int(told[1])  # a newer Python needs one less
    arguments = [stand_in.kit.issuer, stand_in.url, INTERNAL_TOKEN, stand_in.kit.token()]
    command = [str(virtualenv / "bin" / "python"), "-I", "-c", SERVICE, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (len(done.stdout.strip()), done.stderr) == (36, "")
    for words in ("auth-service --help", "auth-service config check", "python -m auth_service doctor"):
        said = shell.run(f"{words} 2>&1 || test $? -eq 2 && echo ended with 2")
        assert said.startswith("Error: the package 'click' is not installed here: the verifier does without it"), said
        assert said.splitlines()[1:] == ["ended with 2"]


def test_the_page_names_what_python_jose_would_bring() -> None:
    brought = {re.split(r"[^\w-]", requirement)[0] for requirement in requires("python-jose") or []}
    assert brought >= LEFT_OUT
    for lock in ROOT.glob("requirements*.lock"):
        assert not re.search(rf"^(?:{'|'.join(LEFT_OUT)})==", lock.read_text(), re.MULTILINE), lock
    assert all(f"`{name}`" in text(PAGE) for name in LEFT_OUT)


def told_to_fetch(said: str) -> list[str]:
    return [
        found[0].strip() for pattern in FETCHES for found in re.finditer(pattern, said, re.MULTILINE | re.IGNORECASE)
    ]


def test_nothing_in_the_project_tells_anybody_to_fetch_our_name_from_an_index() -> None:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "README.md" in names
    found: dict[str, list[str]] = {}
    for name in names:
        if name != "tests/docs/test_installing.py" and (ROOT / name).is_file():
            fetched = told_to_fetch((ROOT / name).read_text("utf-8", errors="ignore"))
            found |= {name: fetched} if fetched else {}
    assert found == {}


@pytest.mark.parametrize(
    "said",
    [
        "pip install auth-service",
        '`pip install "auth-service[verifier]"`',
        "pip install --no-deps auth-service",
        "pip install httpx2 && pip install --no-deps auth_service",
        "the extra is not installed: pip install 'auth-service[telemetry]'",
        "uv add auth-service",
        "pipx run auth-service serve",
        "npm install auth-service-client",
        "docker pull auth-service",
        "docker run --rm auth-service",
        "docker run -p 8000:8000 ghcr.io/somebody/auth-service",
        "helm install auth somebody/auth-service",
        "auth-service==0.1.0",
        "  - auth_service[verifier]>=0.1",
    ],
)
def test_what_would_tell_so_is_found(said: str) -> None:
    assert told_to_fetch(said)


@pytest.mark.parametrize(
    "said",
    [
        "pip install --no-deps --no-index auth-service/dist/auth_service-0.1.0-py3-none-any.whl",
        "pip install --require-hashes -r auth-service/requirements-verifier.lock",
        "pip wheel --no-deps --wheel-dir auth-service/dist ./auth-service",
        "docker run --pull never --rm auth-service cleanup",
        "auth-service serve",
    ],
)
def test_what_is_ours_here_is_not_found(said: str) -> None:
    assert not told_to_fetch(said)


def test_the_compose_file_pulls_no_image_of_our_name() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    assert re.findall(r"image: auth-service\n  pull_policy: (\w+)", compose) == ["never"]
    assert compose.count("image: auth-service") == 1
