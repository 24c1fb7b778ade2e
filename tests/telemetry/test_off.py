"""Without an exporter: what asks for one, what stands in its way, and the ids that the log has all the same."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from auth_service import telemetry, tracing
from tests.conftest import environment
from tests.support.client import Client
from tests.support.logs import settled_log, talkative_server
from tests.support.polling import eventually
from tests.support.server import Server

pytestmark = pytest.mark.usefixtures("every_line")
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# As if only the service's own dependencies were installed: Python reads it at its start.
WITHOUT_SDK = "import sys\nsys.modules['opentelemetry.sdk'] = sys.modules['opentelemetry.exporter'] = None\n"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "auth", "OTEL_RESOURCE_ATTRIBUTES": "a=b", "OTEL_TRACES_SAMPLER": "always_on"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_EXPORTER": " "},
        ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_exported_unless_a_variable_asks_for_it_and_none_forbids_it(environ: Mapping[str, str]) -> None:
    with capture_logs() as lines:
        assert telemetry.prepare(environ) is None
    assert lines == []
    assert not tracing.is_exported()


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf"),
    ],
)
def test_what_is_asked_for_and_cannot_be_done_is_said_in_one_line(more: dict[str, str], because: str) -> None:
    with capture_logs() as lines:
        assert telemetry.prepare(ENDPOINT | more) is None
    assert [(line["event"], line["log_level"], line["because"]) for line in lines] == [
        ("telemetry.off", "warning", because)
    ]


async def test_without_the_extra_one_line_says_so_and_people_can_sign_in(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_SDK)
    with Server(environment("sqlite+aiosqlite://", PYTHONPATH=str(tmp_path), **ENDPOINT), tmp_path) as server:
        server.wait_ready(30)
        async with Client(base_url=server.base_url) as client:
            await client.register("ada@example.com")
            assert await client.sign_in()
    lines = [json.loads(line) for line in server.log().splitlines() if "telemetry" in line]
    assert [(line["event"], line["because"]) for line in lines] == [
        ("telemetry.off", "the extra is not installed: in a checkout, pip install '.[telemetry]'")
    ]


async def test_a_value_that_the_sdk_refuses_is_said_in_one_line_and_people_can_sign_in(tmp_path: Path) -> None:
    wrong = {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "nobody"}
    with Server(environment("sqlite+aiosqlite://", **ENDPOINT, **wrong), tmp_path) as server:
        server.wait_ready()
    lines = [json.loads(line) for line in server.log().splitlines() if "telemetry" in line]
    assert [(line["event"], line["level"], line["exception"]) for line in lines] == [
        ("telemetry.off", "error", "RuntimeError")
    ]


async def test_what_the_sdk_says_is_logged_once_and_without_the_values_of_variables(tmp_path: Path) -> None:
    wrong = {"OTEL_EXPORTER_OTLP_HEADERS": "canary of a key,canary of another", "OTEL_TRACES_SAMPLER": "canary"}
    with Server(environment("sqlite+aiosqlite://", **ENDPOINT, **wrong), tmp_path) as server:
        server.wait_ready()
    lines = [json.loads(line) for line in server.log().splitlines() if "telemetry.sdk" in line]
    assert [line["said"].split()[0] for line in lines] == ["Couldn't", "Header"]
    assert "canary" not in server.log()


async def written(server: Server) -> bool:
    return "mail.written" in server.log()


async def test_each_line_of_a_request_has_the_ids_of_its_gateways_span_or_of_its_own(tmp_path: Path) -> None:
    more = {"AUTH_PROXY__TRUSTED": "127.0.0.0/8", "DB_ECHO": "false"}
    async with talkative_server("sqlite+aiosqlite://", tmp_path, **more) as (server, client):

        async def mail_is_written() -> bool:
            return '"mail.written"' in server.log()

        await client.register("ada@example.com")
        await eventually(mail_is_written)
        traceparent = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
        assert (await client.login(headers=traceparent)).status_code == 200
        assert (await client.get("/internal/verify", headers=traceparent)).status_code == 401
        await eventually(lambda: written(server))  # the mail of the registration, in its own time
        lines = [json.loads(line) for line in (await settled_log(server, client)).splitlines()]
    ours = [line for line in lines if "request_id" in line]
    named = [line["event"] for line in ours if (line["trace_id"], line["span_id"]) == (TRACE, SPAN)]
    assert named == ["login.succeeded", "request", "access.denied", "request"]
    by_request = {line["request_id"]: (line["trace_id"], line["span_id"]) for line in ours}
    assert all(by_request[line["request_id"]] == (line["trace_id"], line["span_id"]) for line in ours)
    assert len(set(by_request.values())) == len(by_request) - 1
    assert all(len(trace) == 32 and len(span) == 16 for trace, span in by_request.values())
    assert [line for line in lines if line["event"] == "mail.written" and len(line["trace_id"]) == 32]


async def test_without_a_trusted_proxy_a_valid_traceparent_is_told_by_the_line_of_its_request_alone(
    tmp_path: Path,
) -> None:
    """Under a name of its own, as nobody may write into the traces of others; what is not valid is told nowhere."""
    wrong = [f"00-{TRACE}-{SPAN}", f"00-{TRACE.upper()}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-x"]
    async with talkative_server("sqlite+aiosqlite://", tmp_path, DB_ECHO="false") as (server, client):
        for sent in wrong:
            await client.get("/problems/not-found", headers={"traceparent": sent})
        valid = ("traceparent", f"00-{TRACE}-{SPAN}-01")
        await client.get("/problems/not-found", headers=[valid, valid])
        assert TRACE not in (await settled_log(server, client)).lower()
        await client.post("/auth/login", json={}, headers=[valid, ("X-Request-ID", "the-one")])
        lines = [json.loads(line) for line in (await settled_log(server, client)).splitlines()]
    assert not [line for line in lines if line.get("trace_id") == TRACE]
    [told] = [line for line in lines if TRACE in line.values()]
    assert (told["event"], told["request_id"], told["client_trace_id"]) == ("request", "the-one", TRACE)
