"""What stands in the project's own pages: fenced blocks and tables, for tests that hold them to the code."""

import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"""
    ^(?P<indent> [ ]*) (?P<fence> ```+ | ~~~+) [ ]* (?P<language> [\w-]*) [^`\n]*\n
    (?P<text> .*?)
    ^(?P=indent) (?P=fence) [ ]*$
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_ABOVE = re.compile(
    r"(?:^ *\*Not run by a test: (?P<reason>.+)\*\n\n?)?(?:^ *<!-- (?P<name>.+) -->\n)?\Z", re.MULTILINE
)

SHELLS = ("sh", "bash")

# The blocks that were run in this process: the page, the name, and the file of the test.
run: set[tuple[str, str, str]] = set()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the number of the line where it begins.

    It has the name in the comment directly above it (`<!-- run: session -->`), by which a test takes it. Above that may
    be the reason why no test runs it, in the visible line `*Not run by a test: ...*`.
    """

    page: str
    line: int
    language: str
    text: str
    name: str | None
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return all fenced blocks of a page in their order, also those within lists."""
    whole, found = text(page), []
    for fence in _FENCE.finditer(whole):
        before = whole[: fence.start()]
        above = _ABOVE.search(before)
        assert above
        inner = textwrap.dedent(fence["text"])
        found.append(Block(page, before.count("\n") + 1, fence["language"], inner, above["name"], above["reason"]))
    return found


def named(page: str, name: str) -> Block:
    """Return the block below the comment `<!-- name -->`; raises LookupError unless there is exactly one."""
    found = [one for one in blocks(page) if one.name == name]
    if len(found) != 1:
        raise LookupError(f"{len(found)} blocks {name!r} in {page}")
    return found[0]


def block(page: str, name: str) -> str:
    """Return the text of a block as it stands in the page now, for a test that runs it and says so with `@runs`.

    Raises LookupError unless the page has exactly one of that name. Shell blocks are run by `shell.follow` alone.
    """
    found = named(page, name)
    if found.language not in SHELLS:
        ran(page, name)
    return found.text


def ran(page: str, name: str) -> None:
    """Remember for `claims.check` that the test of this moment runs a block."""
    run.add((page, name, os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]))


def section(page: str, heading: str) -> str:
    """Return what stands under a heading of level 2; raises LookupError without one."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text(page), re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"no section {heading!r} in {page}")
    return found[1]


def tables(markdown: str) -> list[list[list[str]]]:
    """Return each table as its rows, without the head, and each row as its cells."""
    found = re.findall(r"^\|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)", markdown, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows.splitlines()] for rows in found]


def prose(markdown: str) -> str:
    """Return a page with its fenced blocks and tables emptied; what is left stays on its line."""
    return re.sub(
        r"^\s*```.*?^\s*```$|^\|[^\n]*$",
        lambda found: "\n" * found[0].count("\n"),
        markdown,
        flags=re.DOTALL | re.MULTILINE,
    )


def code(cell: str) -> list[str]:
    """Return what a piece of text names in backticks."""
    return re.findall(r"`([^`\n]+)`", cell)


def spans(page: str) -> list[str]:
    """Return each piece of inline code of a page, on one line; those of its blocks are not inline."""
    inline = _FENCE.sub("", text(page))
    found = re.findall(r"(?<!`)(`+)(?!`)((?:[^\n]|\n(?!\n))+?)(?<!`)\1(?!`)", inline)
    return [" ".join(content.split()) for _, content in found]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")
