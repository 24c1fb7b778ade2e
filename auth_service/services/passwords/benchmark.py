"""How long passwords take to hash on this machine, and which parameters would take as long as wanted."""

import asyncio
import time
from dataclasses import dataclass

from auth_service.security.passwords import argon2_build
from auth_service.security.passwords.hashing import Passwords
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.settings import HashingSettings, PasswordSettings

TRIAL_SECONDS = 1.0
TRIAL_HASHES = 5  # for each thread
PASSWORD = "correct horse battery staple"  # noqa: S105  # of no account

# Argon2id with one lane each, the cheapest first: memory in KiB and passes. The first three are OWASP's minimum, equal
# in strength; the dearer ones have the three passes of RFC 9106, section 4.
LADDER = ((12_288, 3), (19_456, 2), (47_104, 1), (32_768, 3), (65_536, 3), (131_072, 3), (262_144, 3), (524_288, 3))
MINIMUM = LADDER[:3]


@dataclass(frozen=True)
class HashTiming:
    """Milliseconds for a hash in one thread and when all threads work, and hashes a second of all.

    `build` is the build of Argon2 that was timed: `portable` or `x86-64-v3`.
    """

    argon2: str
    build: str
    alone_ms: float
    together_ms: float
    per_second: float


def described(settings: PasswordSettings) -> str:
    return f"m={settings.argon2_memory_kib},t={settings.argon2_time_cost},p={settings.argon2_parallelism}"


def meets_minimum(settings: PasswordSettings) -> bool:
    """Whether the parameters are one of OWASP's or better (ASVS 5.0, 11.4.2)."""
    memory, passes = settings.argon2_memory_kib, settings.argon2_time_cost
    return any(memory >= least_memory and passes >= least_passes for least_memory, least_passes in MINIMUM)


async def time_hashes(settings: PasswordSettings, threads: int) -> HashTiming:
    """Hash a few times in one thread of a lane and then in all of them, a second each at most."""
    passwords = Passwords(settings)
    lane = HashingLane(HashingSettings(), threads)
    try:
        alone_ms, _ = await _trial(lane, passwords, 1)
        together_ms, per_second = await _trial(lane, passwords, threads)
    finally:
        lane.close()
    return HashTiming(described(settings), argon2_build.running(), alone_ms, together_ms, per_second)


async def _trial(lane: HashingLane, passwords: Passwords, at_once: int) -> tuple[float, float]:
    """Keep so many threads busy; return the mean milliseconds of a hash and the hashes a second of all."""
    started, hashes, seconds = time.perf_counter(), lane.hashes.count, lane.hashes.sum

    async def keep_busy() -> None:
        for _ in range(TRIAL_HASHES):
            await lane.run(lambda: passwords.hash(PASSWORD))
            if time.perf_counter() - started > TRIAL_SECONDS:
                break

    await asyncio.gather(*(keep_busy() for _ in range(at_once)))
    done = lane.hashes.count - hashes
    mean = (lane.hashes.sum - seconds) / done
    return round(mean * 1000, 1), round(done / (time.perf_counter() - started), 1)


async def time_recommended(target_ms: float, lane_mib: float | None, threads: int) -> HashTiming:
    """Time the dearest parameters whose hash takes no longer than the target and whose lane fits into the memory.

    At least OWASP's minimum that takes the least memory, however slow the machine. What turns out to be slower than it
    was at first, on a busy machine, gives way to the next cheaper one.
    """
    *dearer, cheapest = _affordable(target_ms, lane_mib, threads)
    for settings in dearer:
        timing = await time_hashes(settings, threads)
        if timing.alone_ms <= target_ms:
            return timing
    return await time_hashes(cheapest, threads)


def _affordable(target_ms: float, lane_mib: float | None, threads: int) -> list[PasswordSettings]:
    """The parameters within the target and the memory, the dearest first. Hashes a few times, in this thread."""
    found = [_parameters(*LADDER[0])]
    for memory, passes in LADDER[1:]:
        if lane_mib is not None and memory * threads > lane_mib * 1024:
            break
        candidate = _parameters(memory, passes)
        if _milliseconds(candidate) > target_ms:
            break
        found.insert(0, candidate)
    return found


def _parameters(memory: int, passes: int) -> PasswordSettings:
    return PasswordSettings(argon2_memory_kib=memory, argon2_time_cost=passes, argon2_parallelism=1)


def _milliseconds(settings: PasswordSettings) -> float:
    """The quickest of three, which is what the machine can do when nothing else runs on it."""
    passwords = Passwords(settings)
    found = []
    for _ in range(3):
        started = time.perf_counter()
        passwords.hash(PASSWORD)
        found.append(time.perf_counter() - started)
    return min(found) * 1000
