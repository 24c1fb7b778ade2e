"""What a start costs, and of what it is made: `python -m bench.start`."""

import resource
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from bench import contestants, machine
from bench.contestants import Contestant
from bench.cpu import cpu_seconds, worker_anonymous, worker_pss
from bench.installed import NotInstallableError
from bench.publish import QUICK, keep, options
from bench.running import Running, prepare
from bench.targets import WITH_PASSKEYS
from tests.support.postgres import Cluster

IDLE = 1.0  # seconds after the first answer, before memory is read
WORDS = (["--version"], ["cleanup"], ["keys", "list"], ["users", "list"], ["audit"], ["migrate"])


class Start(NamedTuple):
    """Seconds and CPU seconds until the answer, and a server's MiB while it idles: PSS, and what is of no file."""

    seconds: float
    cpu: float
    pss_mib: float | None = None
    anonymous_mib: float | None = None


class Imported(NamedTuple):
    """A module, and the microseconds that it took by itself."""

    name: str
    own: int


@click.command()
@click.option("--starts", default=9, show_default=True, help="Starts of each, in turns.")
@click.option("--lines", default=25, show_default=True, help="Packages to print.")
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Another checkout, with its .venv.")
@options
def main(starts: int, lines: int, before: Path | None, mode: str | None) -> None:
    """Start this service, its peers and perhaps another checkout in turns, and the commands; then say what the
    service's imports cost.
    """
    where, starts = machine.describe(), 1 if mode == QUICK else starts
    with Cluster.create() as cluster:
        servers = _servers(cluster, before)
        for server in {one.database: one for one in servers}.values():
            prepare(server, cluster)
        figures = measure(servers, starts)
        where |= {"postgresql": cluster.execute("SHOW server_version")} | machine.peers()
        keep("start", figures, where, mode=mode)
        _print_imports(servers[0], lines)


def _servers(cluster: Cluster, before: Path | None) -> list[Contestant]:
    """This service, the same with passkeys, and who can be had of the others."""
    ours = contestants.deployed(contestants.ours(cluster))
    servers = [ours, replace(contestants.with_passkeys(ours), name=WITH_PASSKEYS)]
    if before:
        servers.append(contestants.deployed(contestants.other(cluster, before), before))
    for make in contestants.PEERS:
        try:
            servers.append(make(cluster))
        except NotInstallableError as error:
            click.echo(f"left out: {error}", err=True)
    return servers


def measure(servers: Sequence[Contestant], starts: int) -> dict[str, Any]:
    """Each server and command so often, in turns: medians, and the medians of the rounds' own ratios."""
    rounds = []
    for number in range(starts):
        click.echo(f"starts {number + 1} of {starts}", err=True)
        rounds.append(([_serve(server) for server in servers], [_run(servers[0], word) for word in WORDS]))
    columns = list(zip(*(served for served, _ in rounds), strict=True))
    ran = list(zip(*(done for _, done in rounds), strict=True))
    names = [server.name for server in servers]
    return {
        "servers": {name: _medians(found) for name, found in zip(names, columns, strict=True)},
        "ratios": {name: _ratios(columns[0], found) for name, found in zip(names[1:], columns[1:], strict=True)},
        "commands": {
            " ".join(word): _medians(found)
            | {f"of_serve_{name}": one for name, one in _ratios(found, columns[0]).items()}
            for word, found in zip(WORDS, ran, strict=True)
        },
    }


def _medians(found: Sequence[Start]) -> dict[str, float]:
    columns = zip(Start._fields, zip(*found, strict=True), strict=True)
    return {name: statistics.median(values) for name, values in columns if values[0] is not None}


def _ratios(found: Sequence[Start], others: Sequence[Start]) -> dict[str, float]:
    """The medians of the rounds' own ratios of the first to the second."""
    pairs = list(zip(found, others, strict=True))
    return {
        "seconds": statistics.median(one.seconds / other.seconds for one, other in pairs),
        "cpu": statistics.median(one.cpu / other.cpu for one, other in pairs),
    }


def imported(said: str) -> Iterator[Imported]:
    """What `-X importtime` wrote, in its order; other lines are left out."""
    for line in said.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and own.strip().isdigit():
            yield Imported(rest.rpartition("|")[2].strip(), int(own))


def by_package(modules: Iterable[Imported]) -> Counter[str]:
    """Microseconds of each package's own modules."""
    found: Counter[str] = Counter()
    for module in modules:
        found[module.name.partition(".")[0]] += module.own
    return found


def _serve(contestant: Contestant) -> Start:
    with Running(contestant) as running:
        cpu = cpu_seconds([running.pid])
        time.sleep(IDLE)
        mib = worker_pss(running.pid), worker_anonymous(running.pid)
        return Start(running.seconds_to_first_answer, cpu, *mib)


def _run(ours: Contestant, word: list[str]) -> Start:
    """A command that has to succeed."""
    command = [ours.command(0, 1)[0], "-m", "auth_service", *word]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=ours.folder, env=contestants.environment(ours.env), capture_output=True, check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _print_imports(ours: Contestant, lines: int) -> None:
    with Running(replace(ours, env={**ours.env, "PYTHONPROFILEIMPORTTIME": "1"})) as running:
        modules = list(imported(running.log()))
    packages = by_package(modules)
    click.echo(f"\n{len(modules)} modules, {packages.total() / 1000:.0f} ms with -X importtime, of which")
    for name, microseconds in packages.most_common(lines):
        click.echo(f"{microseconds / 1000:7.1f} ms  {name}")


if __name__ == "__main__":
    main()
