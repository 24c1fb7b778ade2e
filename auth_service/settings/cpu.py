"""What the processor can run, where a library has been built for more than every processor can."""

import os
import sys
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
X86_64_V3 = "x86-64-v3"
# What the level means, in the words of /proc/cpuinfo: SSE3 is pni there, LZCNT is abm, and CMPXCHG16B is cx16. OSXSAVE
# has no word: the kernel takes avx away itself where it does not save those registers. The first line is x86-64-v2.
_V3_FLAGS = {
    "cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3",
    "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave",
}  # fmt: skip


def runs_x86_64_v3(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether every processor of this machine has all of x86-64-v3; False if that cannot be told."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return False
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    found = [set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return bool(found) and all(flags >= _V3_FLAGS for flags in found)
