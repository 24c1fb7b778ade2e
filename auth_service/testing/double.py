"""The service itself as a process of its own, for tests of clients: it can lose answers, fail, and set its clock."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

START_SECONDS = 30


class Double:
    """A running one. `url` is where its clients find it; what is registered there is gone when it ends, unless it has a
    file.
    """

    def __init__(
        self,
        origins: Sequence[str] = (),
        *,
        file: Path | None = None,
        port: int = 0,
        seed: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start it; it answers once this returns.

        `origins` are of pages that may call it, `file` is where its database is kept, `port` is 0 for any that is free,
        `seed` decides which requests meet faults that come at random, and `settings` are those of the service, such as
        `AUTH_TOKENS__ACCESS_LIFETIME`. Neither environment nor `.env` is read.

        Raises:
            RuntimeError: it did not start; its own words are on standard error.
        """
        command = [sys.executable, "-m", "auth_service", "double", f"--port={port}", f"--seed={seed}"]
        command += [f"--origin={origin}" for origin in origins] + ([f"--file={file}"] if file else [])
        command += [f"--set={name}={value}" for name, value in (settings or {}).items()]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own program
        told = self._process.stdout.readline() if self._process.stdout else ""
        if not told.startswith("{"):
            self.stop()
            raise RuntimeError(f"the double did not start: {' '.join(command)}")
        self.url: str = json.loads(told)["url"]
        self._wait_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def switch_faults(self, *faults: dict[str, Any]) -> None:
        """Switch these faults on, and all others off: docs/testing-clients.md says what they are.

        Raises:
            ValueError: one of them is none; the text says why.
        """
        self._put("faults", faults)

    def set_clock(self, ahead: float) -> None:
        """Let its clock be so many seconds ahead of this machine's; behind, if negative. Raises as above."""
        self._put("clock", {"ahead": ahead})

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        self._process.kill()
        self._end()

    def stop(self) -> None:
        self._process.terminate()
        self._end()

    def _end(self) -> None:
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _put(self, switch: str, body: object) -> None:
        url, told = f"{self.url}/double/{switch}", json.dumps(body).encode()
        request = urllib.request.Request(url, told, method="PUT")  # noqa: S310  # our own URL
        try:
            urllib.request.urlopen(request, timeout=START_SECONDS).close()  # noqa: S310  # our own URL
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from None

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/health/ready", timeout=START_SECONDS).close()  # noqa: S310
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise RuntimeError("the double was not ready in time")
