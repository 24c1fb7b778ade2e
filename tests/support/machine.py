"""A Debian of a test's own: its files, its addresses and its processes, so that pages can be followed to the letter.

Namespaces over this machine's Debian, in which whatever the gateways' packages have kept is gone. The test has to be
root, and whatever is written or started ends with the block.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from .markdown import ROOT, named, ran

_SYSTEMCTL = Path(__file__).parent / "systemctl.py"
_SETUP = """
mount -t tmpfs tmpfs "$1"
for place in etc var; do
  mkdir -p "$1/$place/new" "$1/$place/work"
  mount -t overlay overlay -o "lowerdir=/$place,upperdir=$1/$place/new,workdir=$1/$place/work" "/$place"
done
mount -t tmpfs -o mode=755 tmpfs /run
rm -rf /var/cache/nginx /var/lib/nginx/* /var/log/nginx/* /var/lib/caddy/.[a-z]* /etc/default/caddy
mkdir "$1/bin"
printf '#!/bin/sh\\nexec %s -P %s "$@"\\n' "$2" "$3" >"$1/bin/systemctl"
chmod 755 "$1/bin/systemctl"
"$2" - <<'END'
import fcntl, socket, struct
IFF_UP, SIOCSIFFLAGS = 0x1, 0x8914
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
END
echo ready
exec sleep infinity
"""


class Machine:
    """`run` and `spawn` start a command in it, in the checkout, with `systemctl` standing in for systemd's."""

    def __init__(self, folder: Path, first: psutil.Process) -> None:
        self._folder, self._first = folder, first
        self._enter = ["nsenter", f"--target={first.pid}", "--mount", "--net", "--pid", "--"]
        self._spawned: list[subprocess.Popen[bytes]] = []

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator["Machine"]:
        folder.mkdir()
        spaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*spaces, "bash", "-euc", _SETUP, "bash", str(folder), sys.executable, str(_SYSTEMCTL)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                assert process.stdout.readline() == "ready\n", "namespaces need root"
                (first,) = psutil.Process(process.pid).children()
                machine = cls(folder, first)
                yield machine
            finally:
                process.kill()
        for spawned in machine._spawned:
            spawned.wait(10)

    def run(self, script: str, **env: str) -> str:
        """Run a script by bash, which ends at the first command that fails, and return what it prints.

        Raises AssertionError with all that it said when it fails.
        """
        command = [*self._enter, "env", f"--chdir={ROOT}", "bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(command, env=self._env(env), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def follow(self, page: str, name: str, **env: str) -> str:
        """Run a block of a page, and return what it prints."""
        printed = self.run(named(page, name).text, **env)
        ran(page, name)
        return printed

    def write(self, name: str, text: str) -> None:
        """Put a file where processes are spawned."""
        self.run(f"cat >{self._folder}/{name} <<'END OF FILE'\n{text}\nEND OF FILE")

    def spawn(self, *command: str, **env: str) -> None:
        """Start a process that lives as long as the machine."""
        full = [*self._enter, "env", f"--chdir={self._folder}", *command]
        self._spawned.append(subprocess.Popen(full, env=self._env(env), stdin=subprocess.DEVNULL))

    def processes(self, name: str) -> list[psutil.Process]:
        """Return what runs of a program that `systemctl` has started."""
        found = self._first.children(recursive=True)
        return [one for one in found if one.name() == name and one.status() != psutil.STATUS_ZOMBIE]

    def wait_for(self, port: int) -> None:
        """Wait until something listens on a port of 127.0.0.1; raises AssertionError after half a minute."""
        self.run(f"for _ in $(seq 300); do (: </dev/tcp/127.0.0.1/{port}) 2>&- && exit; sleep 0.1; done; exit 1")

    def _env(self, env: Mapping[str, str]) -> dict[str, str]:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        return {"PATH": f"{self._folder}/bin:{path}", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **env}
