"""The parts of the pages that are made: each a function of the figures, by the name that stands in its mark."""

from collections.abc import Callable, Iterable
from typing import Any

from bench import targets
from bench.figures import Figures
from bench.results import HEADLINE
from bench.table import TOLD, measured, number, series, table, wrapped
from bench.targets import Target

OPERATIONS = {
    "login": "Login (one Argon2id verification)",
    "refresh": "Refresh (rotating)",
    "me": "Me (who is the bearer)",
    "verify": "Verify (a gateway's question), and a bare route",
}
_RATES = ("per_cpu_second", "per_second")
_STARTS = ("seconds", "cpu", "pss_mib", "anonymous_mib")
_HELD = {"server": "the process", "postgresql": "PostgreSQL"}
_STRETCHES = {
    "alone": "no clean-up, before",
    "alone_again": "no clean-up, after",
    "beside_dry_run": "the command's start alone (`--dry-run`)",
    "beside": "the clean-up at its default pace",
    "beside_full_speed": "the clean-up with `--rate 0`",
}


def verdicts(figures: Figures, targets: Iterable[Target], head: str = "") -> str:
    """What was to be reached, and what was."""
    rows = ((one.text, one.bound, one.reached(figures), one.verdict(figures)) for one in targets)
    return table((head, "target", "reached", "met"), rows)


def _compare(figures: Figures) -> str:
    """Everybody beside everybody: the ratios, and each operation's figures."""
    found = figures.parts.get("compare")
    made = [verdicts(figures, targets.COMPARE, "requests per CPU-second")]
    for operation, title in OPERATIONS.items():
        made += [f"### {title}", series(figures, "compare", operation)]
        if operation == "login":
            made.append(_builds(found.machine.get("argon2", "unknown") if found else "unknown"))
    made += ["### How it was measured", *map(wrapped, (*_left_out(figures), _generator(figures), _loaded(figures)))]
    libraries = [name for name in found.machine if name not in {"system", *TOLD}] if found else []
    return "\n\n".join([*made, measured(figures, "compare", *libraries)])


def _left_out(figures: Figures) -> Iterable[str]:
    return (f"Left out: {why}." for why in figures.at("compare", "skipped") or ())


def _builds(ours: str) -> str:
    """Who hashes with what: the parameters are equal, and the builds are what each one's own packaging gives."""
    return wrapped(
        f"Builds of Argon2: {ours} for this service (x86-64-v3 in the container) and the hashing threads, the portable "
        "PyPI wheel for fastapi-users and simplejwt, its own native build for better-auth."
    )


def _generator(figures: Figures) -> str:
    """Whether the load generator could have been what was measured."""
    busy = figures.at("compare", "generator_busy") or {}
    return (
        f"The load generator used at most {busy.get('verify', 0):.0%} of one core for verify and the bare route, and "
        f"{busy.get('others', 0):.0%} for the others: it waited for the server, and not the server for it."
    )


def _loaded(figures: Figures) -> str:
    found = figures.at("compare", "loaded_mib") or {}
    each = ", ".join(f"{name} {number(mib)}" for name, mib in found.items())
    return f"Memory of one worker after that load (PSS, MiB): {each}."


def _part(name: str, of: tuple[Target, ...], *operations: str) -> Callable[[Figures], str]:
    """The verdicts of a part, what each request costs, and where it was measured."""

    def made(figures: Figures) -> str:
        by_name = figures.at(name, "series", str(HEADLINE)) or {}
        rows = (
            (f"{operation}, {who}", *(number(one.get(rate)) for rate in _RATES), number(one.get("p50")))
            for operation in operations
            for who, one in by_name.get(operation, {}).items()
        )
        costs = table(("", "per CPU-second", "per second", "p50 ms"), rows)
        return "\n\n".join((verdicts(figures, of, "requests per CPU-second"), costs, measured(figures, name)))

    return made


def _start(figures: Figures) -> str:
    """What a start takes, of servers and of commands, and an idle worker."""
    servers: dict[str, Any] = figures.at("start", "servers") or {}
    commands: dict[str, Any] = figures.at("start", "commands") or {}
    rows = [(name, *(number(one.get(figure)) for figure in _STARTS)) for name, one in servers.items()]
    rows += [
        (f"`auth-service {name}`", *(number(one.get(figure)) for figure in _STARTS)) for name, one in commands.items()
    ]
    head = ("", "seconds", "CPU seconds", "idle: PSS, MiB", "of no file, MiB")
    return "\n\n".join((verdicts(figures, targets.START), table(head, rows), measured(figures, "start")))


def _before(figures: Figures) -> str:
    """This service beside other commits of it."""
    names = sorted(name for name in figures.parts if name.startswith(targets.BEFORE))
    found = [one for name in names for one in targets.before(name) if one.figure(figures) is not None]
    made = [verdicts(figures, found, "requests per CPU-second")]
    return "\n\n".join([*made, *(measured(figures, name) for name in names)])


def _servers(figures: Figures) -> str:
    """One application behind each server: requests per CPU-second, relative to the first."""
    found: dict[str, dict[str, float]] = figures.at("servers", "ratios") or {}
    kinds = list(found)
    names = list(found[kinds[0]]) if kinds else []
    rows = ((name, *(f"{found[kind][name]:.2f}" for kind in kinds)) for name in names)
    return "\n\n".join((table(("", *kinds), rows), measured(figures, "servers", "uvicorn", "httptools", "granian")))


def _scale(figures: Figures) -> str:
    """Each request in a large table, beside the same in a small one."""
    ratios: dict[str, dict[str, float]] = figures.at("scale", "ratios") or {}
    rows = []
    for operation, one in ratios.items():
        large, small = (figures.at("scale", side, operation) or {} for side in ("large", "small"))
        target = targets.growth(operation)
        rows.append(
            (
                operation,
                target.bound,
                target.reached(figures),
                target.verdict(figures),
                *(number(one.get(name), "x") for name in ("p95", "cpu")),
                " and ".join(f"{side.get('page_hits')} + {side.get('page_reads')}" for side in (small, large)),
                " and ".join(number(side.get("wal_bytes")) for side in (small, large)),
            )
        )
    head = ("", "target", "reached: p50", "met", "p95", "CPU", "pages in + not in `shared_buffers`", "WAL bytes")
    return "\n\n".join((table(head, rows), _sizes(figures), measured(figures, "scale")))


def _sizes(figures: Figures) -> str:
    large: dict[str, Any] = figures.at("scale", "large") or {}
    of: dict[str, Any] = figures.at("scale", "per_million_active_users") or {}
    gib = sum(large.get("bytes", {}).values()) / 2**30
    return wrapped(
        f"Large: {large.get('rows', 0):,} sessions of {large.get('users', 0):,} users, {gib:.1f} GiB with all indexes. "
        f"A session takes {number(of.get('bytes_of_a_session'))} bytes with its indexes, a user "
        f"{number(of.get('bytes_of_a_user'))}. {figures.at('scale', 'refreshes_in_place') or 0:.1%} of the refreshes "
        "stayed in their pages (HOT)."
    )


def _usage(figures: Figures) -> str:
    """What a million active users cause, by the model and the costs of the large table."""
    of: dict[str, Any] = figures.at("scale", "per_million_active_users") or {}
    rows = (
        (operation, number(rate), number(of["cores"][operation]))
        for operation, rate in of.get("requests_a_second", {}).items()
    )
    costs = table(("", "per second, on average", "busy cores, on average"), rows)
    needs = wrapped(
        f"At the peak that takes {number(of.get('cores_at_peak'))} cores (service and PostgreSQL together), "
        f"{number(of.get('tables_gib'))} GiB of tables, and {number(of.get('wal_gib_a_day'))} GiB of WAL a day."
    )
    return f"{costs}\n\n{needs}"


def _cleanup(figures: Figures) -> str:
    """What refreshes feel of the clean-up, and what it leaves behind."""
    found: dict[str, Any] = figures.at("cleanup") or {}
    rates = {"beside": "rows_per_second_paced", "beside_full_speed": "rows_per_second_at_full_speed"}
    rows = (
        (
            text,
            number(found.get(rates[name])) if name in rates else "",
            *(number(found.get(f"refresh_p{percent}_ms_{name}")) for percent in (50, 99)),
        )
        for name, text in _STRETCHES.items()
    )
    left = wrapped(
        f"{found.get('rows', 0):,} sessions, half of them expired and scattered over the table, beside "
        f"{found.get('refreshes_per_second', 0):g} refreshes a second. Tables and indexes had "
        f"{number(found.get('mib_before'))} MiB before the first clean-up, and {number(found.get('mib_after'))} MiB "
        f"after the last of {found.get('rounds')}, between which as many other rows came and expired."
    )
    felt = table(("", "rows deleted per second", "refresh p50, ms", "refresh p99, ms"), rows)
    return "\n\n".join((verdicts(figures, targets.CLEANUP), felt, left, measured(figures, "cleanup")))


def _soak(figures: Figures) -> str:
    """What a process holds after an hour of everything."""
    found: dict[str, Any] = figures.at("soak") or {}
    sizes: dict[str, dict[str, float]] = found.get("memory_mib", {})
    rows = (
        (text, *(number(sizes.get(name, {}).get(when)) for when in ("first", "middle", "last")))
        for name, text in _HELD.items()
    )
    held = table(("memory of no file, MiB", "at the start", "in the middle", "at the end"), rows)
    answers, odd = sum(found.get("answers", {}).values()), len(found.get("unexpected", ()))
    told = wrapped(
        f"{found.get('requests_a_second', 0):g} requests a second for {found.get('seconds', 0):,.0f} seconds, "
        f"{answers:,} in all, of which {odd} got another answer than was expected."
    )
    return "\n\n".join((verdicts(figures, targets.SOAK), held, told, measured(figures, "soak")))


BLOCKS: dict[str, Callable[[Figures], str]] = {
    "short": lambda figures: verdicts(figures, [one for one in targets.ALL if one.short]),
    "compare": _compare,
    "second_factor": _part("second_factor", targets.SECOND_FACTOR, targets.LOGIN, targets.WHOLE, targets.SECOND),
    "passkeys": _part("passkeys", targets.PASSKEYS, targets.PASSWORD, targets.PASSKEY, targets.OPTIONS, targets.BARE),
    "before": _before,
    "servers": _servers,
    "start": _start,
    "scale": _scale,
    "usage": _usage,
    "cleanup": _cleanup,
    "soak": _soak,
}
