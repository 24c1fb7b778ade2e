"""The memory of a hash: a thread keeps it for its next one, on large pages where the system has them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
has_large_pages = pytest.mark.skipif(
    sys.platform != "linux" or not LARGE_PAGES.exists() or not os.confstr("CS_GNU_LIBC_VERSION"),
    reason="this machine has no transparent large pages, or another library than glibc",
)
HASH = """
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from auth_service.security.passwords.hashing import Passwords
from auth_service.settings import PasswordSettings

def faults():
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    passwords.verify("a password", None)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

def asked():
    mappings = Path("/proc/self/smaps").read_text().split("VmFlags: ")
    sizes = (int(above.rpartition("Rss:")[2].split()[0]) for above, flags in zip(mappings, mappings[1:])
             if " hg" in flags.splitlines()[0])
    return sum(sizes)

passwords = Passwords(PasswordSettings())
with ThreadPoolExecutor(1) as lane:
    lane.submit(faults).result()
    print(lane.submit(faults).result(), asked())
"""


@has_large_pages
def test_the_memory_of_a_hash_is_kept_by_its_thread_and_asks_for_large_pages() -> None:
    done = subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True, check=True, timeout=60)
    faults, asked = map(int, done.stdout.split())
    assert faults < 500  # a new block of 19 MiB would be 4,864 pages
    assert asked > 18 * 1024  # KiB
