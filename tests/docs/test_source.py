"""What holds of all the source of the service: its functions are short, and its names are unique."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.markdown import ROOT

PACKAGE = ROOT / "auth_service"
LONGEST = 59  # lines
FOR_OTHERS = {"verifier", "testing"}  # they have their own words, for other services


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    files = {file.relative_to(PACKAGE): ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")}
    return [(path, node) for path, tree in files.items() for node in ast.walk(tree)]


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """Those of the service itself."""
    for path, node in nodes():
        if isinstance(node, ast.ClassDef) and path.parts[0] not in FOR_OTHERS:
            yield path, node


def test_no_function_is_long() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [(path, node) for path, node in nodes() if isinstance(node, functions)]
    assert len(found) > 1000
    lengths = [((node.end_lineno or 0) - node.lineno + 1, f"{path}:{node.name}") for path, node in found]
    assert [of for of in lengths if of[0] > LONGEST] == []


def test_no_two_classes_have_the_same_name() -> None:
    counted = Counter(node.name for _, node in classes())
    assert len(counted) > 100
    assert [name for name, count in counted.items() if count > 1] == []
