"""Which test runs which block of the pages, and whether it still does.

    @runs("docs/integrating.md", "run: session")
    def test_...() -> None:
        exec(block("docs/integrating.md", "run: session"), ...)

`tests/docs/test_blocks.py` wants every block claimed in this way, or a line in the page that says why no test runs it.
A test that passes without having run what it claims (by `markdown.block` or `shell.Shell`), itself or by a fixture of
its file, fails; so does one that CI skips (of a test that runs once for each of several programs, some may be missing).
"""

import ast
import os
from collections.abc import Iterable, Iterator
from functools import cache

import pytest

from . import markdown


def runs(page: str, *names: str) -> pytest.MarkDecorator:
    """Say that a test runs these blocks of a page, each by the name in the comment above it."""
    return pytest.mark.runs(page, *names)


def check(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let the report fail if a test has not run what it claims."""
    file = item.nodeid.partition("::")[0]
    for mark in item.iter_markers("runs"):
        page, *names = mark.args
        if report.skipped and os.environ.get("CI") and not hasattr(item, "callspec"):
            report.outcome, report.longrepr = "failed", f"skipped in CI, and so are {names} of {page}"
        missing = [name for name in names if (page, name, file) not in markdown.run]
        if report.passed and report.when == "call" and missing:
            report.outcome, report.longrepr = "failed", f"claims to run {missing} of {page}, and did not"


@cache
def claimed() -> set[tuple[str, str]]:
    """Return the page and the name of each block that a test says it runs."""
    files = (markdown.ROOT / "tests").rglob("test_*.py")
    return {claim for file in files for claim in _claims(file.read_text("utf-8"))}


def _claims(source: str) -> Iterator[tuple[str, str]]:
    if "runs(" not in source:
        return
    tree = ast.parse(source)
    constants = {
        name.id: value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        for name, value in _pairs(target, node.value)
        if isinstance(name, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            calls = [call for decorator in node.decorator_list for call in ast.walk(decorator)]
            for call in calls:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "runs":
                    page, *names = _words(call.args, constants)
                    yield from ((page, name) for name in names)


def _pairs(target: ast.expr, value: ast.expr) -> Iterable[tuple[ast.expr, ast.expr]]:
    """Return what is assigned to what: `A, B = 1, 2` is two."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return zip(target.elts, value.elts, strict=True)
    return [(target, value)]


def _words(arguments: list[ast.expr], constants: dict[str, ast.expr]) -> Iterator[str]:
    """Return the values of arguments that are literals or constants of the file, and of `*CONSTANT` each one."""
    for argument in arguments:
        plain = argument.value if isinstance(argument, ast.Starred) else argument
        value = ast.literal_eval(constants[plain.id] if isinstance(plain, ast.Name) else plain)
        yield from value if isinstance(argument, ast.Starred) else [value]
