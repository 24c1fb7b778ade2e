"""What stands in the project's own pages: fenced blocks and tables, for tests that hold them to the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def block(page: str, marker: str) -> str:
    """Return the fenced block that follows the comment `<!-- marker -->`; raises LookupError without one."""
    found = re.search(rf"<!-- {re.escape(marker)} -->\n```\w+\n(.*?)^```$", text(page), re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"no block {marker!r} in {page}")
    return found[1]


def fenced(page: str, language: str) -> str:
    """Return the first fenced block in a language; raises LookupError without one."""
    found = re.search(rf"^```{language}\n(.*?)^```$", text(page), re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"no {language} in {page}")
    return found[1]


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


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")
