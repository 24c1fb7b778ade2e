"""Whatever a client sends, in whichever part of a request, is at most a part of one line of the log."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import httpx
import pytest
import structlog

from auth_service import logs
from auth_service.settings import LogSettings
from tests.support.audit import command
from tests.support.logs import FORGED, settled_log, talkative_server
from tests.support.raw_http import exchange

BREAKS = (
    "\r\n",
    "\n",
    "\r",
    "\x1b[2K\x1b[1G",
    "\x9b31m",
    "\x85",
    "\u2028",
    "\u2029",
    "\u202e",
    "\ufeff",
    "\x00",
    '"}\n',
)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # our own, on the console
HEADERS = ("User-Agent", "X-Request-ID", "X-Forwarded-For", "Authorization", "Idempotency-Key", "Content-Type")
NO_ENDS = dict.fromkeys(map(ord, "\r\n\x00"))  # which no client could send in a header
TIME = r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"
# The last is what the server's library says about a request that is none, in whole or by its first word.
EVENTS = {
    "request", "request.refused", "access.denied", "login.failed", "throttle.blocked", "mail.written", "mail.sent",
    "proxy.untrusted",
    "Invalid HTTP request received.", "Invalid",
}  # fmt: skip
FORMATS = pytest.mark.parametrize("log_format", ["json", "console"])


@pytest.fixture
def _logging_is_put_back() -> Iterator[None]:
    root, known = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**known)


@dataclass
class Keeper:
    secret: str = field(repr=False)


def lines_of(written: str) -> list[str]:
    """The lines without our own colours: the same by every way to split them, and none that moves a cursor."""
    lines = [COLOURS.sub("", line) for line in written.split("\n")[:-1]]
    assert len(lines) == len(written.splitlines())
    assert all(line.isprintable() for line in lines)
    return lines


def event_of(line: str) -> str:
    """What a line tells, as JSON or on the console; raises if that is not where we write it."""
    if line.startswith("{"):
        return str(json.loads(line)["event"])
    found = re.fullmatch(rf"{TIME} \[\w+ *\] ([\w.]+) .*", line)
    assert found is not None, line
    return found[2]


def raw_requests(text: str) -> Iterator[bytes]:
    """Requests with this text in the method, the path, a header's name, and the value of each that we read."""
    end = b"\r\nHost: x\r\nConnection: close\r\n"
    raw = text.encode()
    yield b"G" + raw + b" / HTTP/1.1" + end + b"\r\n"
    yield b"GET /" + raw + b" HTTP/1.1" + end + b"\r\n"
    yield b"GET /auth/me HTTP/1.1" + end + raw + b": x\r\n\r\n"
    for name in HEADERS:
        yield b"GET /auth/me HTTP/1.1" + end + name.encode() + b": a" + raw + b"\r\n\r\n"


@FORMATS
async def test_log_forging_in_any_part_of_a_request_makes_no_line(tmp_path: Path, log_format: str) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    async with talkative_server(url, tmp_path, AUTH_LOG__FORMAT=log_format, DB_ECHO="false") as (server, client):
        (await client.register("ada@example.com")).raise_for_status()
        before = await settled_log(server, client)
        logins = 0
        for broken in BREAKS:
            text = f"{broken}{FORGED}{broken}"
            for body in ({"email": text}, {"username": text}, {"email": "ada@example.com", text: text}):
                await client.post("/auth/login", json={"password": f"wrong{text}", **body})
            agent = [(b"User-Agent", f"Browser{text}".translate(NO_ENDS).encode())]
            failed = await client.post(
                "/auth/login", json={"email": "ada@example.com", "password": text}, headers=agent
            )
            logins += failed.status_code == httpx.codes.UNAUTHORIZED
            for request in raw_requests(text):
                with suppress(OSError, HTTPException):
                    await asyncio.to_thread(exchange, server.port, request)
        written = (await settled_log(server, client)).removeprefix(before)
        printed = await command(url, tmp_path, "audit", "--event", "login.failed")
    told = [event_of(line) for line in lines_of(written)]
    assert set(told) <= EVENTS
    assert told.count("login.failed") == logins > 0
    assert [bool(re.match(rf"{TIME}  login\.failed  ", line)) for line in lines_of(printed)] == [True] * logins


@FORMATS
@pytest.mark.usefixtures("_logging_is_put_back")
def test_values_within_lists_and_mappings_are_escaped_too(log_format: str) -> None:
    stream = io.StringIO()
    logs.configure(LogSettings.model_validate({"format": log_format}), stream)
    for broken in BREAKS:
        nested = {broken: [broken, {broken: (broken, FORGED)}]}
        structlog.get_logger().info("told", listed=[broken], mapped=nested, plain=broken)
        logging.getLogger("library").info("it says %s", broken)
    lines = lines_of(stream.getvalue())
    assert [event_of(line) for line in lines if "library" not in line] == ["told"] * len(BREAKS)
    assert len(lines) == 2 * len(BREAKS)


@pytest.mark.usefixtures("_logging_is_put_back")
def test_whatever_an_event_holds_is_a_line_of_json_in_ascii() -> None:
    odd: list[object] = [
        ["\ud800"],
        {"\ud800": ("\ud800",)},
        [b"\xff"],
        b"\xff",
        object,
        float("inf"),
        Keeper("hunter2"),
    ]
    stream = io.StringIO()
    logs.configure(LogSettings.model_validate({"format": "json"}), stream)
    for value in odd:
        structlog.get_logger().info("told", value=value, name="é")
    lines = lines_of(stream.getvalue())
    assert list(map(event_of, lines)) == ["told"] * len(odd)
    assert all(map(str.isascii, lines))
    assert "hunter2" not in stream.getvalue()  # as its repr says
