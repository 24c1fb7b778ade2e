"""What a start costs, and of what it is made: `python -m bench.start`."""

import resource
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click

from bench import contestants, machine
from bench.contestants import Contestant
from bench.cpu import cpu_seconds, worker_pss
from bench.running import Running, prepare
from tests.support.postgres import Cluster

IDLE = 1.0  # seconds after the first answer, before memory is read
WORDS = (["--version"], ["cleanup"], ["keys", "list"], ["users", "list"], ["audit"], ["migrate"])


class Start(NamedTuple):
    """Seconds and CPU seconds until the answer, and a server's MiB while it idles."""

    seconds: float
    cpu: float
    mib: float | None = None


class Imported(NamedTuple):
    """A module, and the microseconds that it took by itself."""

    name: str
    own: int


@click.command()
@click.option("--starts", default=9, show_default=True, help="Starts of each, in turns.")
@click.option("--lines", default=25, show_default=True, help="Packages to print.")
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Another checkout, with its .venv.")
def main(starts: int, lines: int, before: Path | None) -> None:
    """Start this service, fastapi-users and perhaps another checkout in turns, and the commands; then say what the
    service's imports cost.
    """
    click.echo(machine.describe())
    with Cluster.create() as cluster:
        ours = contestants.deployed(contestants.ours(cluster))
        servers = [ours, contestants.fastapi_users(cluster)]
        if before:
            servers.append(contestants.deployed(contestants.other(cluster, before), before))
        for contestant in servers:
            prepare(contestant, cluster)
        click.echo("                      seconds      CPU  idle MiB")
        _print_servers(servers, starts)
        _print_words(ours, starts)
        _print_imports(ours, lines)


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


def _print_servers(servers: Sequence[Contestant], starts: int) -> None:
    """Each, and the median of the rounds' own ratios of the first to each of the others."""
    rounds = [[_serve(server) for server in servers] for _ in range(starts)]
    columns = list(zip(*rounds, strict=True))
    for server, found in zip(servers, columns, strict=True):
        click.echo(_row(server.name, found))
    for server, found in zip(servers[1:], columns[1:], strict=True):
        seconds = statistics.median(mine.seconds / other.seconds for mine, other in zip(columns[0], found, strict=True))
        cpu = statistics.median(mine.cpu / other.cpu for mine, other in zip(columns[0], found, strict=True))
        click.echo(f"{'to ' + server.name:20} {seconds:8.2f} {cpu:8.2f}")


def _serve(contestant: Contestant) -> Start:
    with Running(contestant) as running:
        cpu = cpu_seconds([running.pid])
        time.sleep(IDLE)
        return Start(running.seconds_to_first_answer, cpu, worker_pss(running.pid))


def _print_words(ours: Contestant, starts: int) -> None:
    rounds = [[_run(ours, word) for word in WORDS] for _ in range(starts)]
    for word, found in zip(WORDS, zip(*rounds, strict=True), strict=True):
        click.echo(_row(" ".join(word), found))


def _run(ours: Contestant, word: list[str]) -> Start:
    """A command that has to succeed."""
    command = [ours.command(0, 1)[0], "-m", "auth_service", *word]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=ours.folder, env=contestants.environment(ours.env), capture_output=True, check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _row(name: str, found: Iterable[Start]) -> str:
    seconds, cpu, mib = zip(*found, strict=True)
    idle = f"{statistics.median(mib):9.1f}" if mib[0] else ""
    return f"{name:20} {statistics.median(seconds):8.3f} {statistics.median(cpu):8.3f} {idle}".rstrip()


def _print_imports(ours: Contestant, lines: int) -> None:
    with Running(replace(ours, env={**ours.env, "PYTHONPROFILEIMPORTTIME": "1"})) as running:
        modules = list(imported(running.log()))
    packages = by_package(modules)
    click.echo(f"\n{len(modules)} modules, {packages.total() / 1000:.0f} ms with -X importtime, of which")
    for name, microseconds in packages.most_common(lines):
        click.echo(f"{microseconds / 1000:7.1f} ms  {name}")


if __name__ == "__main__":
    main()
