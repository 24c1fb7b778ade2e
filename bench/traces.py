"""What traces cost a refresh and a verification: `python -m bench.traces`."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import click

from bench import contestants, generator, machine
from bench.contestants import USERS, Contestant
from bench.cpu import memory
from bench.results import HEADLINE, Results
from bench.running import Running, postmaster, prepare
from tests.support.postgres import Cluster

OPERATIONS = ("refresh", "verify")
OFF, HUNDREDTH, ALL, BEFORE = "no traces", "1 % of the traces", "all traces", "the other checkout"


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Stretches of each operation for each server.")
@click.option("--seconds", default=1.5, show_default=True, help="How long each stretch is.")
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Another checkout, with its .venv.")
def main(rounds: int, seconds: float, before: Path | None) -> None:
    """Ask a server without traces and some with them in turns; a ratio is the median of the rounds' own."""
    where, results = machine.describe(), Results()
    with Cluster.create() as cluster, generator.start() as load, _sink() as endpoint, ExitStack() as stack:
        servers = _servers(cluster, endpoint, before)
        prepare(servers[0], cluster)
        running = [stack.enter_context(Running(server)) for server in servers]
        running[0].register(load, USERS[: HEADLINE.connections])
        for turn in range(rounds + 1):  # the first warms up
            order = running[turn % len(running) :] + running[: turn % len(running)]
            for operation in OPERATIONS:
                for one in order:
                    one.stay_signed_in(load, USERS[: HEADLINE.connections])
                    stretch = one.measure(load, operation, HEADLINE.connections, seconds, postmaster(cluster))
                    if turn:
                        results.add(operation, one.contestant.name, HEADLINE, stretch)
        sizes = {one.contestant.name: memory(one.pid)["Pss_Anon"] for one in running}
    for operation in OPERATIONS:
        for server in servers:
            _tell(results, operation, server.name)
    click.echo("memory of its own after that: " + ", ".join(f"{name} {mib:.1f} MiB" for name, mib in sizes.items()))
    where |= {"opentelemetry-sdk": version("opentelemetry-sdk")}
    click.echo(", ".join(f"{name} {value}" for name, value in where.items()))


def _tell(results: Results, operation: str, name: str) -> None:
    found = results.find(operation, name)
    ratio = results.ratio((operation, name), (operation, OFF))
    assert found
    assert ratio
    told = found.figures()
    click.echo(
        f"{operation}, {name}: {told['per_cpu_second']:,.0f} per CPU-second, {ratio:.3f} of {OFF}, "
        f"p50 {told['p50']:.2f} ms, p99 {told['p99']:.2f} ms"
    )


def _servers(cluster: Cluster, endpoint: str, before: Path | None) -> list[Contestant]:
    """All of them on one database, which the first prepares."""
    ours = replace(contestants.ours(cluster), name=OFF)
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
    found = [
        ours,
        replace(ours, name=HUNDREDTH, env=ours.env | asked | {"OTEL_TRACES_SAMPLER_ARG": "0.01"}),
        replace(ours, name=ALL, env=ours.env | asked | {"OTEL_TRACES_SAMPLER_ARG": "1"}),
    ]
    if before:
        python = str(before.absolute() / ".venv" / "bin" / "python")
        theirs = replace(ours, name=BEFORE, folder=before, command=lambda *how: [python, *ours.command(*how)[1:]])
        found.insert(1, theirs)
    return found


@contextlib.contextmanager
def _sink() -> Iterator[str]:
    """The URL of a collector that takes all and keeps nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
