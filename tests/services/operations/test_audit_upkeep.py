"""The trail only grows: what the database refuses, how months come and go, and that a forgotten job breaks no login."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from auth_service.models import SecurityEvent
from auth_service.repositories.audit.trail import AuditFilter
from auth_service.repositories.database import Database
from auth_service.repositories.transaction import CLEANUP_LOCK
from auth_service.services.operations import audit
from auth_service.services.operations.cleanup import Cleanup
from tests.conftest import MakeClient
from tests.support import roles
from tests.support.databases import on_postgresql
from tests.support.sessions import opened
from tests.support.sql import run_sql, write_past_events

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PATIENT = {"statement_timeout": 20}  # dropping tables can make a busy disk stand still
RETENTION = 400 * DAY
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
MADE_UP = "INSERT INTO audit_events (at, id, event, details) VALUES ({at}, gen_random_uuid(), 'login.failed', '{{}}')"
ROWS_IN = "SELECT tableoid::regclass::text, count(*) FROM audit_events GROUP BY 1"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


async def add_event(url: str, age: timedelta) -> None:
    """Put an event of this age straight into the table."""
    zone, new_id = ("", "lower(hex(randomblob(16)))") if url.startswith("sqlite") else ("+00", "gen_random_uuid()")
    at = f"{datetime.now(UTC) - age:%Y-%m-%d %H:%M:%S.%f}{zone}"
    row = f"('{at}', {new_id}, 'login.failed', '{{}}')"
    await write_past_events(url, f"INSERT INTO audit_events (at, id, event, details) VALUES {row}")


async def count(url: str) -> int:
    ((rows,),) = await run_sql(url, "SELECT count(*) FROM audit_events")
    return int(rows)


def month(ahead: int) -> str:
    """The name of this month's partition, or of one that many months later."""
    now = datetime.now(UTC)
    year, index = divmod(now.year * 12 + now.month - 1 + ahead, 12)
    return f"audit_events_{year}{index + 1:02}"


COMING = [month(ahead) for ahead in range(4)]


async def partitions(url: str) -> list[str]:
    return [name for (name,) in await run_sql(url, "SELECT name FROM audit_partitions() ORDER BY starts")]


async def attach(url: str, name: str, ends: timedelta) -> None:
    """Add a partition of one hour that ended so long ago."""
    last = datetime.now(UTC) - ends
    bounds = f"FOR VALUES FROM ('{last - HOUR}') TO ('{last}')"
    await run_sql(roles.as_role(url, "owner"), f"SELECT attach_audit_partition('{name}', $${bounds}$$)")


@on_sqlite
@pytest.mark.parametrize("tampering", ["UPDATE audit_events SET event = 'nothing'", "DELETE FROM audit_events"])
async def test_tampering_with_the_trail_is_refused_on_sqlite(
    database: Database, database_url: str, tampering: str
) -> None:
    assert not database.dialect.has_partitions
    await add_event(database_url, DAY)
    with pytest.raises(Exception, match="append-only"):
        await run_sql(database_url, tampering)
    assert await count(database_url) == 1


@on_postgresql
@pytest.mark.parametrize("tampering", ["UPDATE {} SET event = 'nothing'", "DELETE FROM {}", "TRUNCATE {}"])
async def test_tampering_with_the_trail_or_a_part_of_it_is_refused_to_a_superuser_too(
    database_url: str, tampering: str
) -> None:
    await add_event(database_url, timedelta(0))
    await add_event(database_url, 4000 * DAY)
    for table in ("audit_events", month(0), "audit_events_default"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await run_sql(database_url, tampering.format(table))
    assert await count(database_url) == 2


@on_sqlite
async def test_on_sqlite_old_events_go_in_batches_so_that_others_can_write(
    database: Database, database_url: str
) -> None:
    for days in range(5):
        await add_event(database_url, RETENTION + (1 + days) * DAY)
    cut_off = await Cleanup(database, RETENTION).delete_expired(2, timedelta(0))
    assert (cut_off.audit_dropped, await count(database_url)) == (2, 3)
    assert (await Cleanup(database, RETENTION).delete_expired(2)).audit_dropped == 3


@on_sqlite
async def test_on_sqlite_the_clean_up_deletes_the_events_that_are_older_than_the_retention(
    database: Database, database_url: str
) -> None:
    for age in (500 * DAY, RETENTION + HOUR, RETENTION - HOUR, timedelta(0)):
        await add_event(database_url, age)
    assert (await Cleanup(database, RETENTION).delete_expired(100)).audit_dropped == 2
    assert await count(database_url) == 2


@on_postgresql
async def test_on_postgresql_the_clean_up_drops_what_has_wholly_passed_the_retention(
    database: Database, database_url: str
) -> None:
    await attach(database_url, "older", RETENTION + HOUR)
    await attach(database_url, "younger", RETENTION - HOUR / 2)
    for ends in (HOUR, -HOUR / 2):
        await add_event(database_url, RETENTION + ends + HOUR / 2)
    report = await Cleanup(database, RETENTION).delete_expired(100)
    assert (report.audit_made, report.audit_dropped, await count(database_url)) == (0, 1, 1)
    assert await partitions(database_url) == ["younger", *COMING]


@on_a_lasting_database
async def test_nobody_can_have_the_last_thirty_days_dropped(database: Database, database_url: str) -> None:
    if database.dialect.has_partitions and (datetime.now(UTC) - 29 * DAY - HOUR).month != datetime.now(UTC).month:
        await attach(database_url, "recent", 29 * DAY)  # on the last days of a month, that one's has it
    await add_event(database_url, 29 * DAY + HOUR / 2)
    assert (await Cleanup(database, timedelta(0)).delete_expired(100)).audit_dropped == 0
    assert await count(database_url) == 1


@on_postgresql
async def test_the_clean_up_makes_the_coming_months_once_however_many_run(
    database: Database, database_url: str
) -> None:
    assert await partitions(database_url) == COMING, "the migration made them"
    for name in COMING[2:]:
        await run_sql(database_url, f"DROP TABLE {name}")
    rival = await asyncpg.connect(database_url)
    async with rival.transaction():
        await rival.execute(f"SELECT pg_advisory_xact_lock({CLEANUP_LOCK})")
        assert (await Cleanup(database).delete_expired(100)).audit_made == 0
    await rival.close()
    reports = await asyncio.gather(*(Cleanup(database).delete_expired(100) for _ in range(3)))
    assert sum(report.audit_made for report in reports) == 2
    assert (await Cleanup(database).delete_expired(100)).audit_made == 0
    assert await partitions(database_url) == COMING


@on_postgresql
async def test_a_forgotten_job_breaks_no_login_and_is_made_up_for(
    make_client: MakeClient, database: Database, database_url: str
) -> None:
    client = await make_client(database=PATIENT)
    for name in COMING:
        await run_sql(database_url, f"DROP TABLE {name}")
    (await client.register("ada@example.com")).raise_for_status()
    await client.sign_in()
    assert await run_sql(database_url, ROWS_IN) == [("audit_events_default", 2)]
    assert (await Cleanup(database).delete_expired(100)).audit_made == 3
    (adopted, *others) = await partitions(database_url)
    assert adopted.startswith(f"{month(0)}_to_")
    assert others == COMING[1:]
    await client.sign_in()
    assert await run_sql(database_url, ROWS_IN) == [(adopted, 3)]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_sql(database_url, f"DELETE FROM {adopted}")


@on_postgresql
async def test_whoever_speaks_sql_as_the_service_writes_no_event_of_another_time(database_url: str) -> None:
    """An event that is made up says when it was made up."""
    app = roles.as_role(database_url, "app")
    before = datetime.now(UTC)
    for at in ("date_trunc('month', now(), 'UTC')", "now() - interval '1 ms'", "statement_timestamp()"):
        await run_sql(app, MADE_UP.format(at=at))
    for at in ("now() - interval '40 days'", "'1970-01-01'", "now() + interval '40 days'", "'2999-01-01'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="another time"):
            await run_sql(app, MADE_UP.format(at=at))
    written = await run_sql(database_url, "SELECT at FROM audit_events")
    assert len(written) == 3
    assert all(before < at < datetime.now(UTC) for (at,) in written)


@on_postgresql
async def test_no_event_of_the_future_keeps_months_from_coming_and_from_going(
    database: Database, database_url: str
) -> None:
    """One event of 2999 made a partition until then, so that nothing was dropped any more."""
    app = roles.as_role(database_url, "app")
    for at in ("now() + interval '150 days'", "'2999-01-01'"):
        with suppress(asyncpg.InsufficientPrivilegeError):
            await run_sql(app, MADE_UP.format(at=at))
    for part in ("audit_events_default", COMING[-1]):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await run_sql(app, MADE_UP.replace("audit_events", part).format(at="now()"))
    await Cleanup(database).delete_expired(100)
    assert await partitions(database_url) == COMING
    await run_sql(app, "SELECT keep_audit_months(1000, interval '400 days')")
    assert await partitions(database_url) == [month(ahead) for ahead in range(13)], "a year ahead, and no further"


@on_postgresql
async def test_an_event_that_arrives_when_the_next_month_has_begun_keeps_its_time(
    database: Database, database_url: str
) -> None:
    """Its partition was found by that time. Here each microsecond is a month, so that every event arrives too late."""
    owner = roles.as_role(database_url, "owner")
    ((source,),) = await run_sql(owner, "SELECT pg_get_functiondef('date_audit_event'::regproc)")
    await run_sql(owner, source.replace("'month'", "'microsecond'"))
    async with database.transaction() as tx:
        await tx.audit.add(SecurityEvent.LOGIN_FAILED)
    assert await count(database_url) == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_sql(roles.as_role(database_url, "app"), MADE_UP.format(at="now() - interval '1 second'"))


@on_postgresql
async def test_a_long_reader_puts_off_the_end_of_a_month_and_no_login(
    make_client: MakeClient, database: Database, database_url: str
) -> None:
    client = await make_client()
    (await client.register("ada@example.com")).raise_for_status()
    await attach(database_url, "older", RETENTION + HOUR)
    reader = await asyncpg.connect(database_url)
    async with reader.transaction():
        await reader.fetch("SELECT * FROM audit_events")
        assert (await Cleanup(database).delete_expired(100)).audit_dropped == 0
        await client.sign_in()
    await reader.close()
    assert (await Cleanup(database).delete_expired(100)).audit_dropped == 1


@on_a_lasting_database
async def test_pages_of_the_trail_follow_each_other_without_a_gap_or_a_double(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 3)
    async with database.transaction() as tx:
        for number in range(8):
            await tx.audit.add(SecurityEvent.LOGIN_FAILED, number=number)
    for limit, expected in ((100, [7, 6, 5, 4, 3, 2, 1, 0]), (6, [7, 6, 5, 4, 3, 2]), (4, [7, 6, 5, 4])):
        found = [event.details["number"] async for event in audit.Audit(database).read(AuditFilter(), limit)]
        assert found == expected
