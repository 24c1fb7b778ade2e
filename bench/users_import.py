"""A million accounts by `auth-service users import`, beside a COPY of the same rows: `python -m bench.users_import`."""

import asyncio
import csv
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import click
from uuid_utils.compat import uuid7

from bench import machine
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command

# One real bcrypt hash, in which the digest's first letters differ from row to row.
HASH_START, HASH_END = "$2b$12$GhvMmNVjRW29ulnudl.Lbu", "nUtUqXHOlJd8nbcBoBMkGWa."
CREATED = "2020-01-31T08:00:00Z"
COLUMNS = (
    "id", "email", "email_canonical", "username", "username_canonical", "hashed_password", "role", "is_active",
    "is_verified", "credential_epoch", "created_at", "updated_at",
)  # fmt: skip


def accounts(rows: int) -> Iterator[dict[str, Any]]:
    for number in range(rows):
        yield {
            "email": f"somebody.number{number}@example{number % 50}.com", "username": f"somebody{number}",
            "created_at": CREATED, "is_verified": True, "hashed_password": f"{HASH_START}{number:07d}{HASH_END}",
        }  # fmt: skip


def write(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(account) + "\n" for account in accounts(rows))


def write_copy(path: Path, rows: int) -> None:
    """The same rows as COPY takes them, with nothing left to check or to make."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for one in accounts(rows):
            row_id: UUID = uuid7()
            names = (one["email"], one["email"], one["username"], one["username"])
            writer.writerow((row_id, *names, one["hashed_password"], "user", True, True, 0, CREATED, CREATED))


class Bench:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder

    def fresh(self, name: str) -> dict[str, str]:
        """Make a database with the schema; return the environment of a command on it."""
        self._cluster.create_database(name)
        env = {
            "DATABASE_URL": self._cluster.url(name),
            "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
            "AUTH_LOG__LEVEL": "warning",
        }
        done = run_command("migrate", env=env, cwd=self._folder)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return env

    def run_import(self, env: dict[str, str], rows: int, *options: str) -> dict[str, float]:
        """Import so many accounts; return seconds, from the start of the process to its end, and its peak memory."""
        file = self._folder / f"{rows}.jsonl"
        write(file, rows)
        started = time.perf_counter()
        command = [*Server.program, "users", "import", str(file), "--json", *options]
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE)
        printed = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(printed)
        return {"seconds": seconds, "peak_mib": usage.ru_maxrss / 1024, **json.loads(printed)} | {"seconds": seconds}

    async def run_copy(self, env: dict[str, str], rows: int) -> float:
        """COPY the same rows into the same table, with its indexes, in one transaction; return the seconds."""
        file = self._folder / "copy.csv"
        write_copy(file, rows)
        connection = await asyncpg.connect(env["DATABASE_URL"])
        started = time.perf_counter()
        await connection.copy_to_table("users", source=file, columns=COLUMNS, format="csv")
        seconds = time.perf_counter() - started
        await connection.close()
        return seconds

    def run_census(self, env: dict[str, str]) -> float:
        started = time.perf_counter()
        done = run_command("users", "hashes", "--json", env=env, cwd=self._folder, timeout=300)
        kinds = json.loads(done.stdout)["kinds"]
        if len(kinds) != 1:
            raise RuntimeError(kinds)
        return time.perf_counter() - started


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(1000), help="Accounts to import.")
@click.option("--durable/--no-durable", default=True, show_default=True, help="With fsync and full-page writes.")
def main(*, rows: int, durable: bool) -> None:
    """Measure an import on a PostgreSQL of its own, and print the figures as JSON."""
    surroundings = machine.describe()  # before we put load on it ourselves
    with Cluster.create(on_disk=True) as cluster, tempfile.TemporaryDirectory() as folder:
        if durable:
            for name in ("fsync", "full_page_writes"):
                cluster.execute(f"ALTER SYSTEM SET {name} = on")
            cluster.restart()
        bench = Bench(cluster, Path(folder))
        tenth = bench.run_import(bench.fresh("tenth"), rows // 10)
        copied = asyncio.run(bench.run_copy(bench.fresh("copied"), rows))
        env = bench.fresh("imported")
        first, again = bench.run_import(env, rows), bench.run_import(env, rows)
        cluster.execute("VACUUM ANALYZE users", "imported")
        census = bench.run_census(env)
        postgresql = cluster.execute("SHOW server_version")
    figures = {
        "rows": rows,
        "import_rows_per_second": round(rows / first["seconds"]),
        "import_seconds": round(first["seconds"], 1),
        "copy_rows_per_second": round(rows / copied),
        "import_to_copy_ratio": round(first["seconds"] / copied, 2),
        "again_rows_per_second": round(rows / again["seconds"]),
        "peak_mib": round(first["peak_mib"]),
        "peak_mib_of_a_tenth_of_the_rows": round(tenth["peak_mib"]),
        "census_seconds": round(census, 1),
    }
    click.echo(json.dumps(figures | {"durable": durable, "postgresql": postgresql, **surroundings}, indent=2))


if __name__ == "__main__":
    main()
