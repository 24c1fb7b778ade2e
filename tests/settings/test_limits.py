"""What a container allows, as its control groups tell it, and how many hashing threads that gives."""

from pathlib import Path

import pytest

from auth_service.services.passwords.lane_size import PROCESS_MIB, lane_size
from auth_service.settings import MachineLimits, read_limits
from tests.conftest import make_settings

MIB = 2**20
POD = "kubepods.slice/kubepods-burstable.slice/pod4711.slice/cri-containerd-0815.scope"


def limits_of(folder: Path, membership: str, files: dict[str, str]) -> MachineLimits:
    """Write a tree of control groups and the process's place in it, and read its limits."""
    for name, text in files.items():
        file = folder / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "self").write_text(membership)
    return read_limits(folder / "cgroup", folder / "self")


def test_a_container_with_its_own_view_reads_its_limits_at_the_root(tmp_path: Path) -> None:
    """Docker and containerd on cgroup v2: the namespace begins at the container's own group."""
    files = {"cpu.max": "150000 100000\n", "memory.max": "536870912\n", "cgroup.controllers": "cpu memory pids\n"}
    found = limits_of(tmp_path, "0::/\n", files)
    assert (found.quota, found.memory) == (1.5, 512 * MIB)


def test_the_smallest_limit_of_the_groups_around_a_process_holds(tmp_path: Path) -> None:
    """As systemd and a pod without a namespace of its own show it: the whole tree is visible."""
    slice_, scope = POD.rpartition("/")[0], POD
    files = {
        "kubepods.slice/cpu.max": "1200000 100000\n",
        "kubepods.slice/memory.max": "33285996544\n",
        f"{slice_}/cpu.max": "200000 100000\n",
        f"{slice_}/memory.max": "max\n",
        f"{scope}/cpu.max": "max 100000\n",
        f"{scope}/memory.max": "268435456\n",
        "system.slice/memory.max": "1048576\n",  # not ours
    }
    found = limits_of(tmp_path, f"0::/{POD}\n", files)
    assert (found.quota, found.memory) == (2.0, 256 * MIB)


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/user.slice/session-1.scope\n", {"user.slice/session-1.scope/memory.max": "max\n"}),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}),
        ("4:memory:/docker/0815\n3:cpu:/docker/0815\n0::/\n", {"memory/docker/0815/memory.limit_in_bytes": "1048576"}),
        ("4:memory:/docker/0815\n", {"unified/cgroup.controllers": "hugetlb\n"}),
        ("0::/../../elsewhere\n", {"../memory.max": "1048576\n", "cpu.max": "max 100000\n"}),
        ("0::/\n", {"cpu.max": "\n", "memory.max": "many\n"}),
        ("", {"cpu.max": "max"}),
    ],
    ids=["a session", "no limits", "cgroup v1", "hybrid", "outside the namespace", "unreadable", "empty"],
)
def test_without_limits_that_can_be_read_there_are_none(tmp_path: Path, membership: str, files: dict[str, str]) -> None:
    found = limits_of(tmp_path, membership, files)
    assert (found.quota, found.memory) == (None, None)
    assert found.cores >= 1


def test_a_system_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    found = read_limits(tmp_path / "none", tmp_path / "neither")
    assert (found.quota, found.memory) == (None, None)


@pytest.mark.parametrize(
    ("limits", "threads", "because"),
    [
        (MachineLimits(4, None, None), 4, "cores"),
        (MachineLimits(4, None, 8192 * MIB), 4, "cores"),
        (MachineLimits(64, 0.25, None), 1, "quota"),
        (MachineLimits(64, 1.0, None), 1, "quota"),
        (MachineLimits(64, 2.0, None), 1, "quota"),
        (MachineLimits(64, 4.0, None), 3, "quota"),
        (MachineLimits(2, 8.0, None), 2, "cores"),
        (MachineLimits(64, None, (PROCESS_MIB + 19 * 5) * MIB), 5, "memory"),
        (MachineLimits(64, None, (PROCESS_MIB + 19 * 5) * MIB - 1024), 4, "memory"),
        (MachineLimits(64, 8.0, (PROCESS_MIB + 19 * 3) * MIB), 3, "memory"),
        (MachineLimits(64, None, 64 * MIB), 1, "memory"),
    ],
)
def test_the_lane_has_as_many_threads_as_cores_quota_and_memory_allow(
    limits: MachineLimits, threads: int, because: str
) -> None:
    size = lane_size(make_settings("sqlite+aiosqlite://", password={"argon2_memory_kib": 19456}), limits)
    assert (size.threads, size.because) == (threads, because)


def test_a_number_that_was_set_wins_over_the_limits() -> None:
    size = lane_size(make_settings("sqlite+aiosqlite://", hashing={"threads": 9}), MachineLimits(1, 0.5, 64 * MIB))
    assert (size.threads, size.because) == (9, "set")
