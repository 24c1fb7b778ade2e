"""The commands of the pages for operators and developers do what is said of them."""

import re
from pathlib import Path

from tests.conftest import environment
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import spans
from tests.support.operator import Operator
from tests.support.postgres import Postgres
from tests.support.server import run_command
from tests.support.shell import Shell


@runs("docs/operating.md", "run: sql")
def test_the_sql_that_is_printed_for_a_dba_is_the_whole_schema_on_which_that_of_the_page_runs(
    postgres: Postgres, clone: Path
) -> None:
    printed = Shell(clone).follow("docs/operating.md", "run: sql")
    postgres.create_database("by_hand")
    try:
        postgres.execute(printed, database="by_hand")
        statements = [span for span in spans("docs/operating.md") if re.match(r"(DELETE FROM|SELECT|SHOW) ", span)]
        postgres.execute(";".join(statements), database="by_hand")
        assert len(statements) > 1
        env = {"DATABASE_URL": postgres.url("by_hand")}
        assert run_command("migrate", "--check", env=env, cwd=clone).returncode == 0
    finally:
        postgres.drop_database("by_hand")


@runs("docs/operating.md", "run: audit")
def test_the_trail_is_shown_as_it_is_asked_for(sqlite_url: str, tmp_path: Path) -> None:
    operator = Operator(sqlite_url, tmp_path)
    operator.run("users", "create", "ada@example.com", "--password-stdin", given=PASSWORD)
    printed = Shell(tmp_path, environment(sqlite_url)).follow("docs/operating.md", "run: audit")
    assert re.findall(r"account\.registered", printed) == ["account.registered"], printed


@runs("docs/decisions/0009-resting-the-garbage-collector-at-start.md", "run: measure")
def test_the_collector_runs_less_where_it_rests_at_the_start(tmp_path: Path) -> None:
    printed = Shell(tmp_path).follow("docs/decisions/0009-resting-the-garbage-collector-at-start.md", "run: measure")
    counts = [sum(map(int, re.findall(r"\d+", line.partition("[")[2]))) for line in printed.splitlines()]
    resting, working = counts
    assert 5 * resting < working, printed
