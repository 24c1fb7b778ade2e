"""How many passwords may be hashed at the same time."""

from dataclasses import dataclass
from typing import Literal

import structlog

from auth_service.security.passwords import argon2_build
from auth_service.settings import HashingSettings, MachineLimits, Settings

log = structlog.get_logger()

PROCESS_MIB = 192  # what the service needs beside the memory of its hashes, in a flood too (python -m bench.flood)
# Cores' worth of a quota. When a quota is used up, every thread stands still, also the one that answers requests.
KEPT_FREE = 0.5


@dataclass(frozen=True)
class LaneSize:
    threads: int
    because: Literal["set", "cores", "quota", "memory"]
    limits: MachineLimits

    def tell(self, hashing: HashingSettings) -> None:
        """Log what was chosen, and why."""
        log.info(
            "hashing.sized",
            threads=self.threads,
            because=self.because,
            cores=self.limits.cores,
            cpu_quota=self.limits.quota,
            memory_limit_mib=self.limits.memory and self.limits.memory // 2**20,
            queue=hashing.queue,
            deadline=hashing.deadline.total_seconds(),
            argon2=argon2_build.running(),
        )


def lane_size(settings: Settings, limits: MachineLimits) -> LaneSize:
    """The number that was set, or as many threads as cores, quota and memory of the container let run; at least one."""
    if settings.hashing.threads is not None:
        return LaneSize(settings.hashing.threads, "set", limits)
    sizes = [LaneSize(limits.cores, "cores", limits)]
    if limits.quota is not None:
        sizes.append(LaneSize(max(1, int(limits.quota - KEPT_FREE)), "quota", limits))
    if limits.memory is not None:
        room = limits.memory // 1024 - PROCESS_MIB * 1024
        sizes.append(LaneSize(max(1, room // settings.password.argon2_memory_kib), "memory", limits))
    return min(sizes, key=lambda size: size.threads)


def lane_memory_mib(settings: Settings, threads: int) -> float:
    """What so many hashes need at the same time."""
    return threads * settings.password.argon2_memory_kib / 1024
