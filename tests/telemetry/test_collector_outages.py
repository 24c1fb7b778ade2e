"""A collector that is not there, or does not answer, costs no request anything, and the log two lines."""

import json
import socket
import time
from pathlib import Path

from tests.conftest import environment
from tests.support.client import Client
from tests.support.collector import collector
from tests.support.polling import eventually
from tests.support.server import Server, free_port, wait_until

URL = "sqlite+aiosqlite://"
REQUESTS = 200


def told(server: Server) -> list[str]:
    """The events of telemetry, and all that is said of errors, in the log."""
    lines = [json.loads(line) for line in server.log().split("\n")[:-1] if line.startswith("{")]
    return [line["event"] for line in lines if "telemetry" in line["event"] or line["level"] in {"warning", "error"}]


async def test_a_collector_that_is_away_is_told_of_once_and_so_is_its_return(tmp_path: Path) -> None:
    port = free_port()
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
    # The queue is full after a few requests.
    small = {"OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
    # Else the port is warned of at the start.
    env = environment(URL, AUTH_PUBLIC_URL="http://127.0.0.1:8000", **address, **small)
    with Server(env, tmp_path) as server:
        server.wait_ready()
        async with Client(base_url=server.base_url, timeout=5) as client:

            async def is_noticed() -> bool:
                return "telemetry.collector_lost" in told(server)

            await eventually(is_noticed)
            for _ in range(REQUESTS):
                assert (await client.get("/problems/not-found")).status_code == 200
            assert told(server).count("telemetry.collector_lost") == 1
            assert len(told(server)) <= 3, "started, lost, and once that the queue is full"
            with collector(port) as collected:

                async def is_back() -> bool:
                    assert (await client.get("/problems/not-found")).status_code == 200
                    return "telemetry.collector_back" in told(server)

                await eventually(is_back)
                await collected.wait_for("GET /problems/{code}")


def test_a_collector_that_never_answers_delays_neither_an_answer_nor_for_long_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"}
        with Server(environment(URL, **address, OTEL_BSP_SCHEDULE_DELAY="20"), tmp_path) as server:
            server.wait_ready()
            peer, _ = silent.accept()
            with peer:
                wait_until(lambda: peer.recv(1, socket.MSG_PEEK) != b"", 5, lambda: "nothing is sent")
                started = time.monotonic()
                assert server.terminate(10) == 0
                assert 1.5 < time.monotonic() - started < 6, "longer than two seconds is not waited for what is left"
            assert told(server)[-1] == "telemetry.not_flushed"
