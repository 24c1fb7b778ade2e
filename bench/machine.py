"""What a figure was measured on: without it, the figure says nothing."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

LIBRARIES = ("fastapi", "starlette", "uvicorn", "uvloop", "sqlalchemy", "sqlmodel", "asyncpg")


def describe() -> dict[str, str]:
    """The machine, what else it is doing, Python and the libraries that a request goes through."""
    return {
        "load_average": f"{os.getloadavg()[0]:.1f}",
        "cores": str(len(os.sched_getaffinity(0))),
        "model": _model(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
