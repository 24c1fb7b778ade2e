"""`auth-service doctor`: whether this deployment is in order, and what a password costs on this machine."""

import json
import sys
from dataclasses import asdict, dataclass

import click

from auth_service.cli.common import run_with_database
from auth_service.cli.numbers import Number
from auth_service.cli.wrong_setting import WrongSetting
from auth_service.embedded_secret import with_secret
from auth_service.errors import DatabaseUnavailable
from auth_service.logs import escaped
from auth_service.repositories.database import Database
from auth_service.repositories.privileges import is_for_clean_up_alone
from auth_service.services.operations.doctor import Doctor
from auth_service.services.operations.surroundings import Check
from auth_service.services.passwords.benchmark import HashTiming, time_hashes, time_recommended
from auth_service.services.passwords.lane_size import PROCESS_MIB, LaneSize, lane_memory_mib, lane_size
from auth_service.settings import Settings, WrongSettingError, read_limits


@dataclass(frozen=True)
class _Report:
    checks: list[Check]
    lane: LaneSize
    lane_memory_mib: float
    hashing: HashTiming
    recommended: HashTiming

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


@click.command()
@click.option(
    "--target", default=100.0, show_default=True, type=Number(10, 5000), metavar="MS",
    help="Target time of a hash, for the recommendation.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def doctor(target: float, as_json: bool) -> None:
    """Check settings, database and keys, and time password hashes on this machine. Exit code 1 if a check fails."""

    async def examine(database: Database, settings: Settings) -> _Report:
        settings = await _with_key(database, settings)
        lane = lane_size(settings, read_limits())
        room = lane.limits.memory / 2**20 - PROCESS_MIB if lane.limits.memory else None
        return _Report(
            checks=await Doctor(settings, database, lane).check(),
            lane=lane,
            lane_memory_mib=lane_memory_mib(settings, lane.threads),
            hashing=await time_hashes(settings.password, lane.threads),
            recommended=await time_recommended(target, room, lane.threads),
        )

    report = run_with_database(examine, any_schema=True)
    click.echo(json.dumps({"ok": report.ok, **asdict(report)}, indent=2) if as_json else _text(report, target))
    sys.exit(0 if report.ok else 1)


async def _with_key(database: Database, settings: Settings) -> Settings:
    """Return the settings with a secret key, or as they are for a role that may only clean up, which needs none.

    Nobody knows whose they are while the database lets nobody in, which the report then tells.
    """
    try:
        return with_secret(settings)
    except WrongSettingError as error:
        if not settings.database.is_postgresql or not await _may_only_clean_up(database):
            raise WrongSetting(str(error)) from None
    return settings


async def _may_only_clean_up(database: Database) -> bool:
    try:
        async with database.statement() as tx:
            return await is_for_clean_up_alone(tx.session)
    except DatabaseUnavailable:
        return True


def _text(report: _Report, target: float) -> str:
    lane = f"{report.lane.threads} threads ({report.lane.because}), {report.lane_memory_mib:.0f} MiB while they work"
    is_slower = report.recommended.alone_ms > target
    slower = "; longer, but cheaper ones are too weak: the machine is slow, or busy just now" if is_slower else ""
    return "\n".join(
        [
            *(escaped(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}") for check in report.checks),
            f"hashing lane: {lane}",
            f"now: {_timing(report.hashing)}",
            f"for {target:g} ms: {_timing(report.recommended)}{slower}",
        ]
    )


def _timing(timing: HashTiming) -> str:
    told = f"{timing.alone_ms} ms alone, {timing.together_ms} ms in all threads, {timing.per_second}/s"
    return f"{timing.argon2} ({timing.build}): {told}"
