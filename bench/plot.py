"""A run as bars: requests per CPU-second of everybody, each operation on a scale of its own. SVG, written by hand."""

from html import escape

from bench.contestants import FLOOR, OURS
from bench.floors import HASHING, PGBENCH
from bench.results import HEADLINE, Results, Series
from bench.table import OPERATIONS

WIDTH, LABEL, BAR, ROW, TITLE = 720, 150, 440, 20, 34  # pixels
_OURS, _FLOOR, _PEER = "#1f6feb", "#9aa4b0", "#d29922"
_STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600 } "
    "@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } }"
)


def svg(results: Results) -> str:
    """The picture, which reads on a light and on a dark page."""
    parts, top = [], 0
    for operation, title in OPERATIONS.items():
        found = [one for one in results.series if (one.operation, one.setting) == (operation, HEADLINE)]
        if found:
            parts += _group(f"{title}: requests per CPU-second", found, top)
            top += TITLE + ROW * len(found)
    size = f'viewBox="0 0 {WIDTH} {top + 8}" width="{WIDTH}" height="{top + 8}"'
    name = f"Requests per CPU-second, {HEADLINE}"
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(name)}">'
    return "\n".join((opening, f"<style>{_STYLE}</style>", *parts, "</svg>", ""))


def _group(title: str, found: list[Series], top: int) -> list[str]:
    ranked = sorted(found, key=lambda one: -one.per_cpu_second)
    longest = ranked[0].per_cpu_second or 1.0
    rows = [_row(one, longest, top + TITLE + ROW * place) for place, one in enumerate(ranked)]
    return [f'<text class="title" x="0" y="{top + TITLE - 10}">{escape(title)}</text>', *rows]


def _row(series: Series, longest: float, y: int) -> str:
    length = max(1, round(BAR * series.per_cpu_second / longest))
    return (
        f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(series.name)}</text>'
        f'<rect x="{LABEL}" y="{y}" width="{length}" height="{ROW - 5}" rx="2" fill="{_colour(series.name)}"/>'
        f'<text x="{LABEL + length + 6}" y="{y + 12}">{series.per_cpu_second:,.0f}</text>'
    )


def _colour(name: str) -> str:
    if name == OURS:
        return _OURS
    return _FLOOR if name in {FLOOR, HASHING, PGBENCH} else _PEER
