"""A run as bars: requests per CPU-second of everybody, each operation on a scale of its own. SVG, written by hand."""

from html import escape

from bench.contestants import FLOOR, OURS
from bench.figures import Figures
from bench.floors import HASHING, PGBENCH
from bench.pages import OPERATIONS
from bench.results import HEADLINE

WIDTH, LABEL, BAR, ROW, TITLE = 720, 150, 440, 20, 34  # pixels
_OURS, _FLOOR, _PEER = "#1f6feb", "#9aa4b0", "#d29922"
_STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600 } "
    "@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } }"
)


def svg(figures: Figures) -> str:
    """The picture, which reads on a light and on a dark page."""
    parts, top = [], 0
    for operation, title in OPERATIONS.items():
        rates = figures.at("compare", "series", str(HEADLINE), operation) or {}
        if found := {name: one["per_cpu_second"] for name, one in rates.items()}:
            parts += _group(f"{title}: requests per CPU-second", found, top)
            top += TITLE + ROW * len(found)
    size = f'viewBox="0 0 {WIDTH} {top + 8}" width="{WIDTH}" height="{top + 8}"'
    name = f"Requests per CPU-second, {HEADLINE}"
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(name)}">'
    return "\n".join((opening, f"<style>{_STYLE}</style>", *parts, "</svg>", ""))


def _group(title: str, found: dict[str, float], top: int) -> list[str]:
    ranked = sorted(found.items(), key=lambda one: -one[1])
    longest = ranked[0][1] or 1.0
    rows = [_row(name, rate, longest, top + TITLE + ROW * place) for place, (name, rate) in enumerate(ranked)]
    return [f'<text class="title" x="0" y="{top + TITLE - 10}">{escape(title)}</text>', *rows]


def _row(name: str, rate: float, longest: float, y: int) -> str:
    length = max(1, round(BAR * rate / longest))
    return (
        f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABEL}" y="{y}" width="{length}" height="{ROW - 5}" rx="2" fill="{_colour(name)}"/>'
        f'<text x="{LABEL + length + 6}" y="{y + 12}">{rate:,.0f}</text>'
    )


def _colour(name: str) -> str:
    if name == OURS:
        return _OURS
    return _FLOOR if name in {FLOOR, HASHING, PGBENCH} else _PEER
