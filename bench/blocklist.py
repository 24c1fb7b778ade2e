"""What the list of common passwords costs at start, in memory and for each password: `python -m bench.blocklist`."""

import multiprocessing
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import psutil

from auth_service.blocklist import SHIPPED, Blocklist
from auth_service.services.passwords.policy import PasswordPolicy
from auth_service.settings import PasswordSettings
from bench import machine

WORDS = [secrets.token_urlsafe(12) for _ in range(1_000)]
PASSPHRASE = "correct horse battery staple"


@click.command()
@click.option("--lookups", default=1_000_000, show_default=True, help="Random words to look up, none of them listed.")
def main(lookups: int) -> None:
    """Measure the shipped table, and a text with as many passwords."""
    listed = Blocklist.open(None)
    wrong = sum(f"{WORDS[0]}{number}" in listed for number in range(lookups))
    print(f"{listed.count} passwords in {SHIPPED.stat().st_size} bytes; {wrong} of {lookups} others taken for listed")
    print(f"a lookup: {_microseconds(lambda: [word in listed for word in WORDS]) / len(WORDS):.1f} us")
    policy = PasswordPolicy(PasswordSettings(), "https://auth.example.com")
    names = ("ada.byron@example.com", "ada")
    for what, password in {"28": PASSPHRASE, "256": secrets.token_urlsafe(192)}.items():
        cost = _microseconds(lambda chosen=password: policy.accept("password", chosen, names))  # type: ignore[misc]
        print(f"the whole policy, {what} characters: {cost:.0f} us")
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        text.write_text("\n".join(f"{WORDS[0]}{number}" for number in range(listed.count)))
        for what, path in {"the table": None, "the same as a text": text}.items():
            with multiprocessing.get_context("spawn").Pool(1) as fresh:
                milliseconds, own, mapped = fresh.apply(_open, [path])
            print(
                f"{what}: {milliseconds:.1f} ms at start, {own:.1f} MiB of its own, {mapped:.1f} MiB with shared pages"
            )
    print(", ".join(f"{name} {value}" for name, value in machine.describe().items()))


def _microseconds(work: Callable[[], object], rounds: int = 200) -> float:
    """The median of some rounds."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found) * 1e6


def _open(path: Path | None) -> tuple[float, float, float]:
    """In a fresh process: milliseconds to open the list, and the MiB that the process has more after 1,000 lookups."""
    process = psutil.Process()
    before, started = process.memory_full_info(), time.perf_counter()
    listed = Blocklist.open(path)
    milliseconds = (time.perf_counter() - started) * 1e3
    _ = [word in listed for word in WORDS]
    after = process.memory_full_info()
    return milliseconds, (after.uss - before.uss) / 2**20, (after.rss - before.rss) / 2**20


if __name__ == "__main__":
    main()
