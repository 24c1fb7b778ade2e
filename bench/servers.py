"""Which server costs the least for each request: `python -m bench.servers`."""

import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version

import click

from bench import generator, machine
from bench.contestants import ROOT, Command, Contestant
from bench.exchanges import VALUE, get, post
from bench.generator import Job
from bench.installed import python_of
from bench.publish import QUICK, keep, options
from bench.running import Running

UVICORN, PROTOCOL, GRANIAN = "uvicorn with httptools", "uvicorn with our protocol class", "Granian"
OPERATIONS = {
    "a GET": get("/", f"Authorization: Bearer {VALUE}"),
    "a POST of JSON": post("/", {"refresh_token": VALUE}),
}
GRANIAN_LOCK = "granian/requirements.txt"
VALUES = ["x" * 100] * 16


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Stretches for each server and each kind of request.")
@click.option("--seconds", default=1.0, show_default=True, help="How long each stretch is.")
@click.option("--connections", default=16, show_default=True, help="Connections that ask.")
@options
def main(rounds: int, seconds: float, connections: int, mode: str | None) -> None:
    """Serve one bare ASGI application with each server, ask in turns, and compare requests per CPU-second."""
    where, (rounds, seconds) = machine.describe(), (1, 0.3) if mode == QUICK else (rounds, seconds)
    found: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        load = stack.enter_context(generator.start())
        running = [stack.enter_context(Running(server)) for server in (_uvicorn(), _uvicorn(PROTOCOL), _granian())]
        for _ in range(rounds + 1):  # the first warms up
            for name, exchange in OPERATIONS.items():
                for one in running:
                    stretch, _ = load.run(Job(one.port, exchange, VALUES, [one.pid], connections, seconds))
                    found.setdefault((name, one.contestant.name), []).append(stretch.per_cpu_second)
    ratios: dict[str, dict[str, float]] = {name: {} for name in OPERATIONS}
    for (name, server), rates in found.items():
        first = found[name, UVICORN]
        ratios[name][server] = statistics.median(one / other for one, other in zip(rates[1:], first[1:], strict=True))
    where |= {"httptools": version("httptools"), "granian": machine.pinned(GRANIAN_LOCK, "granian")}
    keep("servers", {"ratios": ratios}, where, mode=mode)


def _uvicorn(name: str = UVICORN) -> Contestant:
    http = "auth_service.api.http.connections.protocol:Protocol" if name == PROTOCOL else "httptools"
    return _contestant(name, lambda port, _: [sys.executable, "-m", "bench.floors.asgi", str(port), http])


def _granian() -> Contestant:
    python = str(python_of("granian"))
    return _contestant(
        GRANIAN,
        lambda port, workers: [
            python, "-m", "granian", "bench.floors.asgi:app", "--interface", "asginl", "--port", str(port),
            "--workers", str(workers), "--loop", "uvloop", "--http", "1", "--no-ws", "--no-access-log",
        ],
    )  # fmt: skip


def _contestant(name: str, command: Callable[[int, int], Command]) -> Contestant:
    return Contestant(
        name=name, database="", folder=ROOT, env={"PYTHONPATH": str(ROOT)}, command=command, first="/", operations={}
    )


if __name__ == "__main__":
    main()
