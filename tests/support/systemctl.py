"""Stands in for `systemctl` where no systemd runs: starts what the unit says, as whom and with what the unit says.

Of a unit and its drop-ins it obeys User, Environment, EnvironmentFile, AmbientCapabilities, ExecStartPre and ExecStart.
"""

import contextlib
import os
import pwd
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

Unit = dict[str, list[str]]


def read(name: str) -> Unit:
    """Return each setting of a unit's [Service] with its values; an empty one takes back those before it."""
    found: Unit = {}
    drop_ins = sorted(Path(f"/etc/systemd/system/{name}.service.d").glob("*.conf"))
    for file in [Path(f"/lib/systemd/system/{name}.service"), *drop_ins]:
        for key, value in re.findall(r"^(\w+)=(.*)$", file.read_text("utf-8"), re.MULTILINE):
            found[key] = [*found.get(key, []), value] if value else []
    return found


def environment(unit: Unit) -> dict[str, str]:
    """Return PATH and what the unit and its files say; raises FileNotFoundError for a file that has to be there."""
    lines = [pair for value in unit.get("Environment", []) for pair in shlex.split(value)]
    for name in unit.get("EnvironmentFile", []):
        if Path(name.lstrip("-")).exists() or not name.startswith("-"):
            lines += re.findall(r"^(?!#).+=.*$", Path(name.lstrip("-")).read_text("utf-8"), re.MULTILINE)
    return {"PATH": os.environ["PATH"], **dict(line.split("=", 1) for line in lines)}


def command(unit: Unit, line: str, env: dict[str, str]) -> list[str]:
    """Return a command of a unit with its variables replaced, run by its user."""
    words: list[str] = []
    for word in shlex.split(line):
        words += env.get(word[1:], "").split() if word.startswith("$") else [word]
    (user,) = unit.get("User", ["root"])
    if user == "root":
        return words
    capabilities = [f"+{name.lower().removeprefix('cap_')}" for name in unit.get("AmbientCapabilities", [])]
    options = [f"--{kind}-caps={','.join(capabilities)}" for kind in ("inh", "ambient") if capabilities]
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *options, *words]


def start(name: str) -> None:
    """Start a unit; its output goes to /run/NAME.journal."""
    unit = read(name)
    env = environment(unit)
    (user,) = unit.get("User", ["root"])
    env |= {"HOME": pwd.getpwnam(user).pw_dir, "USER": user}
    with Path(f"/run/{name}.journal").open("wb") as journal:
        for line in unit.get("ExecStartPre", []):
            subprocess.run(command(unit, line, env), env=env, stdout=journal, stderr=journal, check=True)
        (line,) = unit["ExecStart"]
        process = subprocess.Popen(command(unit, line, env), env=env, stdout=journal, stderr=journal, cwd="/")
        if unit.get("Type") == ["forking"] and process.wait(30):
            raise SystemExit(Path(journal.name).read_text("utf-8"))


def stop(name: str) -> None:
    """End what runs of the program of a unit, which has its name."""
    while found := [pid for pid in Path("/proc").glob("[0-9]*") if _is(pid, name)]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.name), signal.SIGKILL)
        time.sleep(0.02)


def _is(pid: Path, name: str) -> bool:
    try:
        found = (pid / "stat").read_text("utf-8")
    except OSError:  # it has just ended
        return False
    return f"({name})" in found and ") Z" not in found


if __name__ == "__main__":
    verb, *units = sys.argv[1:]
    if verb in {"restart", "stop"}:
        for unit in units:
            stop(unit)
            if verb == "restart":
                start(unit)
    elif verb != "daemon-reload":
        raise SystemExit(f"systemctl {verb} is not known here")
