"""Puts a run's tables and plot into the documentation, between two marks."""

from pathlib import Path

from bench.plot import svg
from bench.results import Results
from bench.table import page, verdicts

BEGIN, END = "<!-- made by `make bench` -->", "<!-- until here -->"


def publish(results: Results, root: Path) -> None:
    """Write docs/performance.svg, and the parts of docs/performance.md and the README that are made."""
    (root / "docs" / "performance.svg").write_text(svg(results))
    for name, made in (("docs/performance.md", page(results)), ("README.md", verdicts(results) + "\n")):
        target = root / name
        target.write_text(between_marks(target.read_text(), made))


def between_marks(text: str, made: str) -> str:
    """The text with the part between the marks replaced; raises ValueError without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{made}\n{END}{after}"
