"""Puts a run's table and plot into the documentation, between two marks."""

from pathlib import Path

from bench.plot import svg
from bench.results import Results
from bench.table import page

BEGIN, END = "<!-- made by `make bench` -->", "<!-- until here -->"


def publish(results: Results, docs: Path) -> None:
    """Write performance.svg, and the part of performance.md that is made; the rest of the page stays."""
    (docs / "performance.svg").write_text(svg(results))
    target = docs / "performance.md"
    target.write_text(between_marks(target.read_text(), page(results)))


def between_marks(text: str, made: str) -> str:
    """The text with the part between the marks replaced; raises ValueError without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{made}\n{END}{after}"
