"""Figures as Markdown."""

from collections.abc import Iterable
from textwrap import fill

from bench.figures import Figures
from bench.results import SETTINGS

WHERE = ("cores", "model", "memory", "python", "postgresql", "argon2")  # of every part; libraries are told once
TOLD = {"date", "commit", "load_average", *WHERE}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def series(figures: Figures, part: str, operation: str) -> str:
    """Everybody's rates and times in one operation."""
    head = ("", "setting", "per CPU-second", "per second", "p50 ms", "p95 ms", "p99 ms")
    by_setting = figures.at(part, "series") or {}
    rows = (
        (name, setting, *(f"{one[rate]:,.0f}" for rate in ("per_cpu_second", "per_second")), *_times(one))
        for setting in map(str, SETTINGS)
        for name, one in by_setting.get(setting, {}).get(operation, {}).items()
    )
    return table(head, rows)


def measured(figures: Figures, part: str, *more: str) -> str:
    """How and where a part was measured; `more` are libraries to tell the versions of."""
    if part not in figures.parts:
        return "Not measured."
    found = figures.parts[part]
    where = {name.replace("_", " "): value for name, value in found.machine.items() if name not in {"date", "commit"}}
    wanted = [name.replace("_", " ") for name in ("load_average", *WHERE, *more)]
    told = ", ".join(f"{name} {where[name]}" for name in wanted if name in where)
    when, what = found.machine.get("date"), found.machine.get("commit")
    return wrapped(f"Measured by `{found.command}` on {when}, commit {what}: {told}.")


def wrapped(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def number(value: float | None, unit: str = "") -> str:
    """Three digits or a whole number; a dash for what was not measured."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}{unit}"


def _times(one: dict[str, float]) -> Iterable[str]:
    return (f"{one[time]:.2f}" if time in one else "-" for time in ("p50", "p95", "p99"))
