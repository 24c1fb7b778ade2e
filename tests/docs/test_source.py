"""What holds of all the source of the service: its functions are short, and its names and errors say what they are."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from auth_service import errors
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


def refusals() -> set[tuple[str, str, str]]:
    """The base and the name of each kind of `Refused`, and the file where it is if that is not in errors/."""
    bases = {
        (ast.unparse(base), node.name, "" if path.parts[0] == "errors" else path.as_posix().removesuffix("__init__.py"))
        for path, node in classes()
        for base in node.bases
    }
    kinds, before = {"Refused"}, 0
    while len(kinds) > before:
        before = len(kinds)
        kinds |= {name for base, name, _ in bases if base in kinds}
    return {of for of in bases if of[0] in kinds}


def drawn() -> list[tuple[str, str, str]]:
    """What the tree at the top of errors/ draws, in the form of `refusals()`."""
    found, above = [], ["Refused"]
    for line in re.findall(r"^    ([│ ]*[├└]── .*)$", errors.__doc__ or "", re.MULTILINE):
        branch, _, label = line.partition("── ")
        name, _, file = label.partition(" ")
        depth = len(branch) // 4 + 1
        above[depth:] = [name]
        found.append((above[depth - 1], name, file.strip()))
    return found


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


def test_the_tree_of_errors_draws_every_refusal_once_and_where_it_is() -> None:
    assert len(refusals()) > 40
    assert sorted(drawn()) == sorted(refusals())
