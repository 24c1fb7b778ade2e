"""`auth-service doctor`: whether this deployment is in order, and what a password costs on this machine."""

import json
import sys
from dataclasses import asdict, dataclass

import click

from auth_service.cli.common import run_with_database
from auth_service.cli.for_option import SERVE, for_option, with_secret_to_serve
from auth_service.cli.numbers import Number
from auth_service.cli.wrong_setting import WrongSetting
from auth_service.logs import escaped
from auth_service.repositories.database import Database
from auth_service.services.operations.database_checks import check_for_cleanup
from auth_service.services.operations.doctor import Doctor
from auth_service.services.operations.surroundings import Check
from auth_service.services.passwords.benchmark import HashTiming, time_hashes, time_recommended
from auth_service.services.passwords.lane_size import PROCESS_MIB, LaneSize, lane_memory_mib, lane_size
from auth_service.settings import Settings, WrongSettingError, read_limits


@dataclass(frozen=True)
class _Hashes:
    lane: LaneSize
    lane_memory_mib: float
    hashing: HashTiming
    recommended: HashTiming


@dataclass(frozen=True)
class _Report:
    checks: list[Check]
    hashes: _Hashes | None

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


@click.command()
@for_option
@click.option(
    "--target", default=100.0, show_default=True, type=Number(10, 5000), metavar="MS",
    help="Target time of a hash, for the recommendation.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def doctor(word: str, target: float, as_json: bool) -> None:
    """Check settings, database and keys, and time password hashes on this machine. Exit code 1 if a check fails.

    For the clean-up: what it needs of the settings and the database, and no hash.
    """

    async def of_server(database: Database, settings: Settings) -> _Report:
        try:
            settings = with_secret_to_serve(settings)
        except WrongSettingError as error:
            raise WrongSetting(str(error)) from None
        lane = lane_size(settings, read_limits())
        return _Report(await Doctor(settings, database, lane).check(), await _time(settings, lane, target))

    async def of_cleanup(database: Database, settings: Settings) -> _Report:
        return _Report(await check_for_cleanup(settings.database, database), None)

    examine = of_server if word == SERVE else of_cleanup
    report = run_with_database(examine, any_schema=True, may_make_file=word == SERVE)
    click.echo(_json(report) if as_json else _text(report, target))
    sys.exit(0 if report.ok else 1)


async def _time(settings: Settings, lane: LaneSize, target: float) -> _Hashes:
    room = lane.limits.memory / 2**20 - PROCESS_MIB if lane.limits.memory else None
    return _Hashes(
        lane=lane,
        lane_memory_mib=lane_memory_mib(settings, lane.threads),
        hashing=await time_hashes(settings.password, lane.threads),
        recommended=await time_recommended(target, room, lane.threads),
    )


def _json(report: _Report) -> str:
    hashes = asdict(report.hashes) if report.hashes else {}
    return json.dumps({"ok": report.ok, "checks": [asdict(check) for check in report.checks], **hashes}, indent=2)


def _text(report: _Report, target: float) -> str:
    checks = [escaped(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}") for check in report.checks]
    return "\n".join([*checks, *(_of_hashes(report.hashes, target) if report.hashes else ())])


def _of_hashes(hashes: _Hashes, target: float) -> list[str]:
    lane = f"{hashes.lane.threads} threads ({hashes.lane.because}), {hashes.lane_memory_mib:.0f} MiB while they work"
    is_slower = hashes.recommended.alone_ms > target
    slower = "; longer, but cheaper ones are too weak: the machine is slow, or busy just now" if is_slower else ""
    return [
        f"hashing lane: {lane}",
        f"now: {_timing(hashes.hashing)}",
        f"for {target:g} ms: {_timing(hashes.recommended)}{slower}",
    ]


def _timing(timing: HashTiming) -> str:
    told = f"{timing.alone_ms} ms alone, {timing.together_ms} ms in all threads, {timing.per_second}/s"
    return f"{timing.argon2} ({timing.build}): {told}"
