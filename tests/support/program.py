"""An ASGI application of a test's own in a real process."""

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .server import free_port, wait_until


@contextmanager
def uvicorn(application: str, folder: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Serve `module:attribute` of a folder for the length of the block; yields its URL once it answers at all."""
    port, log = free_port(), folder / "uvicorn.log"
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--host", "127.0.0.1"]
    kept = {
        name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("COVERAGE_")
    }
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env={**kept, **env}, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), 20, log.read_text)
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
