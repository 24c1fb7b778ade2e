"""The README is true: its transcript runs, its picture is the code's, and its tables list what there is."""

import re
import shutil
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from tests.support.claims import runs
from tests.support.markdown import ROOT, block, code, section, tables
from tests.support.server import Server
from tests.support.shell import PATIENT, Shell, needs

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOR_OTHER_SERVICES = {"double", "testing", "verifier"}  # no request to this service goes through these
AT_START = {"parts"}  # which puts the rooms together


# A virtualenv that is up to date, whose service says how it is called.
VIRTUALENV = f"""
mkdir -p .venv/bin
printf '#!/bin/sh\\nexec {sys.executable} "$@"\\n' > .venv/bin/python
printf '#!/bin/sh\\necho auth-service "$@"\\n' > .venv/bin/auth-service
chmod +x .venv/bin/*
touch .venv/.runtime .venv/.dev
"""


@needs("make")
@runs("README.md", "run: make")
def test_make_serves_and_tests(tmp_path: Path) -> None:
    """Without the minute in which it sets everything up, as CI does by the same words; of pytest, the version."""
    for file in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("requirements*.lock")):
        shutil.copy(file, tmp_path)
    said = Shell(tmp_path, {"ARGS": "--version"}, VIRTUALENV).follow("README.md", "run: make")
    assert re.findall(r"^(?:auth-service|pytest) .*$", said, re.MULTILINE) == [
        "auth-service serve", f"pytest {pytest.__version__}",
    ]  # fmt: skip


@needs("bash", "curl")
@runs("README.md", "transcript")
def test_the_transcript_gets_the_answers_that_it_shows(tmp_path: Path) -> None:
    # No setting at all but patience: what `make run` serves.
    with Server(PATIENT, tmp_path) as server:
        server.wait_ready()
        here = {"auth=http://127.0.0.1:8000/": f"auth={server.base_url}/"}
        Shell(tmp_path).follow_transcript("README.md", "transcript", replaced=here)


@runs("README.md", "drawing: request")
def test_the_picture_shows_the_rooms_and_imports_that_there_are() -> None:
    drawn = picture()
    layers = [set(re.findall(r"auth_service\.(\w+)", layer)) for layer in imports_point_down()["layers"]]
    depth = {room: number for number, layer in enumerate(layers) for room in layer}
    folders = {path.parent.name for path in (ROOT / "auth_service").glob("*/__init__.py")}
    rooms = {room for arrow in drawn for room in arrow}
    folders -= FOR_OTHER_SERVICES | AT_START
    assert folders | {"cli", "main", "models"} <= rooms <= set(depth)
    assert all(depth[above] < depth[below] for above, below in drawn)
    assert drawn <= room_imports()


def picture() -> set[tuple[str, str]]:
    """The arrows of the README's picture, without those from the request and to the database."""
    node = r'(\w+)(?:[\[(]+"[^"]*"[\])]+)?'
    drawing = block("README.md", "drawing: request")
    arrows = re.findall(rf"^\s+{node} --> {node}$", drawing, re.MULTILINE)
    assert len(arrows) == drawing.count("-->")
    return {(above, below) for above, below in arrows if above != "request" and below != "postgresql"}


def imports_point_down() -> dict[str, list[str]]:
    contracts: list[dict[str, list[str]]] = PYPROJECT["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if "layers" in contract)


def room_imports() -> set[tuple[str, str]]:
    graph = grimp.build_graph("auth_service", cache_dir=None)
    # uvicorn imports main by its name, in each worker.
    found = {("cli", "main")}
    for module in graph.modules - {"auth_service"}:
        for imported in graph.find_modules_directly_imported_by(module) - {"auth_service"}:
            found.add((module.split(".")[1], imported.split(".")[1]))
    return found


def test_every_dependency_has_a_reason_and_every_reason_a_dependency() -> None:
    project = PYPROJECT["project"]
    extras = [project["optional-dependencies"][name] for name in ("verifier", "telemetry")]
    declared = [project["dependencies"], *extras, PYPROJECT["dependency-groups"]["dev"]]
    listed = tables(section("README.md", "Dependencies"))
    assert [sorted(map(name_of, group)) for group in declared] == [
        sorted(code(row[0])[0] for row in table) for table in listed
    ]
    assert all(row[1] for table in listed for row in table)


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return found[0]
