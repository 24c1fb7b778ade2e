"""What a scrape says, and Debian's Prometheus with its promtool."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .server import free_port, wait_until

INTERNAL_TOKEN = "internal-token-of-the-tests"
HEADERS = {"X-Internal-Token": INTERNAL_TOKEN}


@dataclass(frozen=True)
class Scrape:
    """One answer of `/metrics`."""

    text: str

    @property
    def names(self) -> set[str]:
        """The names of the samples, such as `..._bucket`."""
        return {sample.name for family in text_string_to_metric_families(self.text) for sample in family.samples}

    @property
    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        families = text_string_to_metric_families(self.text)
        return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of a name that have these labels; 0 if there is none."""
        return sum(value for found, has, value in self.samples if found == name and labels.items() <= has.items())


def scrape(base_url: str) -> Scrape:
    """Ask on a connection of its own, which any worker may take."""
    return Scrape(httpx.get(f"{base_url}/metrics", headers=HEADERS, trust_env=False).raise_for_status().text)


def program(name: str) -> str:
    """Return the path of `promtool` or `prometheus`; skips the test where there is none, but never in CI."""
    found = shutil.which(name)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed (on Debian: apt-get install --no-install-recommends prometheus)")
    assert found, name
    return found


def promtool(*arguments: str, text: str | None = None) -> str:
    """Run it and return what it says; fails if it objects to anything."""
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told


@contextmanager
def prometheus(configuration: Path, folder: Path) -> Iterator[str]:
    """A Prometheus with this configuration for the length of the block; yields its URL once it is ready."""
    port, log = free_port(), folder / "prometheus.log"
    command = [
        program("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        wait_until(lambda: _is_ready(port), 30, log.read_text, interval=0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).is_success
    except httpx.TransportError:
        return False


def query(base_url: str, expression: str) -> list[Mapping[str, object]]:
    """What Prometheus answers to an expression right now; fails if it does not understand it."""
    answer = httpx.get(f"{base_url}/api/v1/query", params={"query": expression}, trust_env=False)
    assert answer.is_success, f"{expression}: {answer.text}"
    found: Sequence[Mapping[str, object]] = answer.json()["data"]["result"]
    return list(found)
