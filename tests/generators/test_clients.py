"""Clients that other people's generators make of the OpenAPI document compile, and sign in to a running service."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.interop.node import needs_node
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import block
from tests.support.server import Server
from tests.support.shell import Shell
from tests.support.stand_in import INTERNAL_TOKEN

PAGE = "docs/integrating.md"
PROGRAMS = ("openapi_fetch", "hey_api", "orval")
# That the client of openapi-python-client closes httpx in a way that mypy does not like is its own affair.
MYPY = "[mypy]\nstrict = True\n[mypy-auth_client.client]\nignore_errors = True\n"
PROGRAM = """
import json, sys
from sign_in import account_of, sign_in
url, email, password = sys.argv[1:]
try:
    sign_in(url, email, password + "x")
except PermissionError as refused:
    print(json.dumps([str(refused), account_of(url, sign_in(url, email, password)).email]))
"""


def run(folder: Path, *command: str, **env: str) -> str:
    """Return what a command prints; fail unless it succeeds."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def told(email: str) -> dict[str, Any]:
    """What each program finds out: the answers to a right and a wrong use of every call that signs in and out."""
    return {
        "registered": email,
        "taken": "account-exists",
        "fields": ["password"],
        "wrong": "invalid-credentials",
        "me": email,
        "rotated": True,
        "active": True,
        "ended": "invalid-refresh-token",
        "revoked": 200,
    }


@needs_node
@runs(PAGE, "sh: generators", "run: generated TypeScript", "run: generated Python")
def test_generated_clients_compile_and_sign_in(workshop: Path, service: Server) -> None:
    Shell(workshop).follow(PAGE, "sh: generators")
    (workshop / "client.ts").write_text(block(PAGE, "run: generated TypeScript"))
    run(workshop, "npx", "tsc", "--project", ".")
    bundle = ("--bundle", "--platform=node", "--format=esm", "--outdir=built", "--out-extension:.js=.mjs")
    run(workshop, "npx", "esbuild", *(f"{name}.ts" for name in PROGRAMS), *bundle)
    for name in PROGRAMS:
        email = f"{uuid4().hex}@example.com"
        who = (service.base_url, email, PASSWORD, INTERNAL_TOKEN)
        assert json.loads(run(workshop, "node", f"built/{name}.mjs", *who, AUTH=service.base_url)) == told(email), name
    compile_and_run_python(workshop, service, email)


def compile_and_run_python(folder: Path, service: Server, email: str) -> None:
    (folder / "sign_in.py").write_text(block(PAGE, "run: generated Python"))
    (folder / "mypy.ini").write_text(MYPY)
    (folder / "program.py").write_text(PROGRAM)
    run(folder, sys.executable, "-m", "mypy", "--config-file=mypy.ini", "sign_in.py", "auth_client")
    found = run(folder, sys.executable, "program.py", service.base_url, email, PASSWORD)
    assert json.loads(found) == ["invalid-credentials", email]
