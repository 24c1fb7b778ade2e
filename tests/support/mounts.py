"""A command that sees folders of a test's own where it looks for those of the machine. Needs root, and nothing else."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path


def available() -> bool:
    """Return whether this process may mount: as root."""
    return os.geteuid() == 0


def fresh(folder: Path, paths: Sequence[str], user: str) -> dict[str, Path]:
    """Return an empty folder of the user's for each of these paths, as its package would bring it."""
    made = {path: folder / path.strip("/").replace("/", "-") for path in paths}
    for path in made.values():
        path.mkdir(mode=0o755)
        shutil.chown(path, user, user)
    return made


def mounted(places: Mapping[str, Path], command: Sequence[str], *, user: str = "root") -> list[str]:
    """Return a command that runs another one as a user in a mount namespace where each place is a folder of ours."""
    mounts = [f"mount --bind {shlex.quote(str(folder))} {place}" for place, folder in places.items()]
    capability = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]  # as Debian's unit of Caddy says
    become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *capability]
    script = "\n".join([*mounts, 'exec "$@"'])
    return ["unshare", "--mount", "sh", "-euc", script, "sh", *become, *command]
