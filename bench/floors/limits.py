"""Limits without HTTP: hashing threads alone, and pgbench with the one statement of a refresh."""

import json
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from auth_service.security.passwords.hashing import Passwords
from auth_service.settings import PasswordSettings
from bench.cpu import cpu_seconds
from bench.floors.rotation import PGBENCH, SEED
from bench.generator import Stretch, percentiles
from tests.support.postgres import Cluster, programs
from tests.support.server import wait_until

_PASSWORD = "a password of the hashing limit"


def hash_only(threads: int, seconds: float) -> Stretch:
    """Verify a password in so many threads of a process of its own, which has this service's build of Argon2."""
    command = [sys.executable, "-m", "bench.floors.limits", str(threads), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return Stretch(**json.loads(done.stdout))


def _hash(threads: int, seconds: float) -> Stretch:
    passwords = Passwords(PasswordSettings())
    hashed = passwords.hash(_PASSWORD)
    end = time.perf_counter() + seconds

    def work(_number: int) -> list[float]:
        latencies, now = [], time.perf_counter()
        while now < end:
            passwords.verify(_PASSWORD, hashed)
            before, now = now, time.perf_counter()
            latencies.append(now - before)
        return latencies

    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        latencies = [one for found in pool.map(work, range(threads)) for one in found]
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Stretch(len(latencies), elapsed, cpu, 0.0, *percentiles(latencies))


def pgbench(cluster: Cluster, database: str, postgres: int, clients: int, seconds: float) -> Stretch:
    """Rotate one session for each client, all of them on prepared statements; the CPU is PostgreSQL's alone."""
    cluster.execute(SEED, database)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(PGBENCH)
        script.flush()
        options = ("-n", "-M", "prepared", "-f", script.name, "-D", "generation=0", "-c", str(clients))
        duration = ("-T", str(max(1, round(seconds))), "-l", f"--log-prefix={script.name}")
        backends = _children(postgres)
        before, started = cpu_seconds([postgres]), time.perf_counter()
        command = [str(programs() / "pgbench"), *options, *duration, cluster.url(database)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
        elapsed = time.perf_counter() - started
        # What a backend has used is its parent's only once it has been waited for.
        wait_until(lambda: _children(postgres) <= backends, 5, lambda: "pgbench's backends do not end")
        cpu = cpu_seconds([postgres]) - before
        latencies = _latencies(Path(script.name))
    failed = re.search(r"failed transactions: (\d+)", done.stdout)
    assert failed is None or failed[1] == "0", done.stdout
    return Stretch(len(latencies), elapsed, cpu, 0.0, *percentiles(latencies))


def _children(pid: int) -> int:
    return len(psutil.Process(pid).children())


def _latencies(prefix: Path) -> list[float]:
    """The seconds of each transaction, from the third column of pgbench's logs, which are deleted."""
    found = []
    for log in prefix.parent.glob(f"{prefix.name}.*"):
        found += [int(line.split()[2]) / 1e6 for line in log.read_text().splitlines()]
        log.unlink()
    return found


if __name__ == "__main__":
    print(json.dumps(vars(_hash(int(sys.argv[1]), float(sys.argv[2])))))
