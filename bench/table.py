"""A run as a page of Markdown."""

from collections.abc import Iterable
from textwrap import fill

from bench.contestants import FLOOR
from bench.results import HEADLINE, SETTINGS, Results, Series
from bench.targets import TARGETS

OPERATIONS = {
    "login": "Login (one Argon2id verification)",
    "refresh": "Refresh (rotating)",
    "me": "Me (who is the bearer)",
    "verify": "Verify (a gateway's question), and a bare route",
}


def page(results: Results) -> str:
    """Everything, in the order in which one reads."""
    parts = [verdicts(results), *(_figures(results, operation) for operation in OPERATIONS), _starts(results)]
    prose = (_generator(results), *(f"Left out: {why}." for why in results.skipped), _machine(results))
    parts += [_wrapped(text) for text in prose]
    return "\n\n".join(parts) + "\n"


def verdicts(results: Results) -> str:
    """What was to be reached, and what was."""
    rows = ((one.text, one.bound, one.reached(results), one.verdict(results)) for one in TARGETS)
    return _table(("ratio of requests per CPU-second, unless noted", "target", "reached", "met"), rows)


def _figures(results: Results, operation: str) -> str:
    found = [
        one for setting in SETTINGS for one in results.series if (one.operation, one.setting) == (operation, setting)
    ]
    head = ("", "setting", "per CPU-second", "per second", "p50 ms", "p95 ms", "p99 ms")
    made = f"### {OPERATIONS[operation]}\n\n" + _table(head, map(_row, found))
    return f"{made}\n\n{_wrapped(_builds(results))}" if operation == "login" else made


def _builds(results: Results) -> str:
    """Who hashes with what: the parameters are equal, and the builds are what each one's own packaging gives."""
    ours = results.machine.get("argon2", "unknown")
    return (
        f"Builds of Argon2: {ours} for this service (x86-64-v3 in the container) and the hashing threads, the portable "
        "PyPI wheel for fastapi-users and simplejwt, its own native build for better-auth."
    )


def _row(series: Series) -> tuple[str, ...]:
    times = (series.median(lambda one: one.p50), series.median(lambda one: one.p95), series.median(lambda one: one.p99))
    rates = (series.per_cpu_second, series.median(lambda one: one.per_second))
    return (series.name, str(series.setting), *(f"{rate:,.0f}" for rate in rates), *(f"{time:.2f}" for time in times))


def _starts(results: Results) -> str:
    head = ("", "start to the first answer, s", "PSS of one worker, MiB: idle", "after load")
    rows = (
        (name, *(f"{_middle(values):.2f}" if values else "-" for values in (one.seconds, one.idle, one.loaded)))
        for name, one in results.starts.items()
    )
    return "### Start and memory\n\n" + _table(head, rows)


def _generator(results: Results) -> str:
    """Whether the load generator could have been what was measured."""
    shares = [stretch.generator_share for one in results.series for stretch in one.stretches]
    hello = results.find("verify", FLOOR, HEADLINE)
    reached = (
        f" and reached {hello.median(lambda one: one.per_second):,.0f} requests a second on the bare route"
        if hello
        else ""
    )
    others = [one for one in results.series if one.operation != "verify"]
    busiest = max((stretch.generator_share for one in others for stretch in one.stretches), default=0.0)
    return (
        f"The load generator used at most {max(shares, default=0):.0%} of one core{reached}; without verify and the "
        f"bare route, at most {busiest:.0%}. Below 100 %, it waited for the server, and not the server for it."
    )


def _machine(results: Results) -> str:
    return "Measured on: " + ", ".join(f"{name} {value}" for name, value in results.machine.items()) + "."


def _wrapped(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
