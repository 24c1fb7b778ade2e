"""The figures that the pages show: one file with a part for each command that measures."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]
FILE = "bench/results.json"
TRIED = "dist/bench/results.json"  # of runs that are not for the pages
DIGITS = 4


@dataclass(frozen=True)
class Part:
    """What one command found: how it was called, where and when, and its figures."""

    command: str
    machine: dict[str, str]
    figures: dict[str, Any]


@dataclass
class Figures:
    """All parts, by their names."""

    parts: dict[str, Part] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = ROOT / FILE) -> Self:
        """What `write` has kept; nothing if there is no file."""
        if not path.exists():
            return cls()
        return cls({name: Part(**part) for name, part in json.loads(path.read_text("utf-8")).items()})

    def write(self, path: Path) -> None:
        """Keep everything as JSON, the parts in the order of their names, so that a change shows what changed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: asdict(part) for name, part in sorted(self.parts.items())}
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def at(self, part: str, *keys: str) -> Any:
        """What stands there, or None if it was not measured."""
        found: Any = self.parts[part].figures if part in self.parts else None
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def rounded(found: Any) -> Any:
    """The same with numbers of four digits: more would pretend to know more. Whole numbers stay."""
    if isinstance(found, Mapping):
        return {str(name): rounded(one) for name, one in found.items()}
    if isinstance(found, list | tuple):
        return [rounded(one) for one in found]
    if isinstance(found, float) and math.isfinite(found):
        return float(f"{found:.{DIGITS}g}")
    return found


def commit(folder: Path = ROOT) -> str:
    """The commit of a checkout, with a word if what is measured differs from it; `unknown` without Git."""
    head = _git(folder, "rev-parse", "--short", "HEAD")
    if not head:
        return "unknown"
    code = ("auth_service", "migrations", "bench", f":!{FILE}")
    return f"{head} with changes" if _git(folder, "status", "--porcelain", "--", *code) else head


def command() -> str:
    """How this process was called, without what is of this machine alone."""
    given = ("FOLDER" if Path(one).is_dir() else one for one in sys.argv[1:] if one != "--publish")
    return " ".join((f"python -m bench.{Path(sys.argv[0]).stem}", *given))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
