"""What a collector gets of real servers: each request and mail as a trace, and nothing that anybody sent or stored."""

import http.client
import json
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from tests.conftest import environment
from tests.support.canaries import PASSWORD, spellings
from tests.support.client import Client
from tests.support.collector import Collector, Told, collector
from tests.support.link_mails import LinkMails
from tests.support.server import Server, wait_until
from tests.support.sql import run_sql

EMAIL = "canary.of.an.address@example.com"
INTERNAL = "canary-internal-token"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=theirs,other=1"}
# What a database says may hold the values that it is about.
QUOTING_FAULT = """CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE check_violation USING MESSAGE = NEW.email || NEW.hashed_password; END $$"""


def telemetry(collected: Collector, **more: str) -> dict[str, str]:
    """The environment of a service that sends its spans to this collector, and does not let it wait."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


def client_of(server: Server) -> Client:
    headers = {"User-Agent": "canary-of-an-agent", "Host": "canary-of-a-host", "X-Request-ID": "canary-of-an-id"}
    return Client(base_url=server.base_url, headers={**headers, "X-Internal-Token": INTERNAL}, timeout=10)


async def use_everything(client: Client, url: str, mails: LinkMails) -> set[str]:
    """Do what a trace must not tell of, rightly and wrongly, and return what was said."""
    await client.register(EMAIL)
    tokens = await client.sign_in(EMAIL)
    newer = await client.rotate(tokens["refresh_token"])
    bearer = {"Authorization": f"Bearer {newer['access_token']}"}
    assert (await client.get("/internal/verify?role=user&role=canary-of-a-role", headers=bearer)).status_code == 200
    assert (await client.get("/internal/verify", headers={"Authorization": "canary"})).status_code == 401
    assert (await client.me(newer["access_token"])).status_code == 200
    assert (await client.login(EMAIL, "canary of a wrong password")).status_code == 401
    assert (await client.get("/canary-of-a-path?token=canary-of-a-query")).status_code == 404
    assert (await client.request("PROPFIND", "/auth/me")).status_code == 405
    token = await mails.token(EMAIL, "verify-email")
    await client.get(f"/auth/pages/verify-email?token={token}")
    await run_sql(url, QUOTING_FAULT)
    await run_sql(url, "CREATE TRIGGER fault BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fault()")
    assert (await client.register("other." + EMAIL)).status_code == 500
    secrets = {value for answer in (tokens, newer) for name, value in answer.items() if name != "token_type"}
    return {str(one) for one in secrets} | {token, PASSWORD, EMAIL, INTERNAL, url}


def assert_silent(bodies: Iterable[bytes], secrets: set[str]) -> None:
    """Fail if one of them is in what was sent, in one of the usual encodings, or a word that only clients have said."""
    told = b"\n".join(bodies).decode("latin-1")
    parts = {part for secret in secrets for part in (secret, *secret.split(".")) if len(part) > 10}
    assert [part for part in parts if any(spelling in told for spelling in spellings(part))] == []
    assert not {word for word in ("canary", "$argon2", "art_", "eyJ", "lnk_", "127.0.0.1:") if word in told}


async def test_requests_and_mails_are_traces_and_hold_nothing_of_what_was_said_or_stored(
    postgres_url: str, tmp_path: Path
) -> None:
    async with LinkMails.start() as mails:
        with collector() as collected:
            more = {f"AUTH_MAIL__{name.upper()}": str(value) for name, value in mails.settings["mail"].items()}
            env = telemetry(collected, AUTH_INTERNAL_TOKEN=INTERNAL, OTEL_EXPORTER_OTLP_COMPRESSION="gzip", **more)
            with Server(environment(postgres_url, **env), tmp_path) as server:
                server.wait_ready()
                async with client_of(server) as client:
                    secrets = await use_everything(client, postgres_url, mails)
                await collected.wait_for("POST /auth/register", 2)
                assert server.terminate() == 0
            log = server.log()
    assert_silent(collected.bodies, secrets)
    assert collected.encodings == {"gzip"}
    assert_login(collected)
    assert_refresh(collected)
    assert_verify(collected)
    assert_mail(collected)
    assert_refusals(collected)
    assert_fault(collected)
    assert_log(log, collected)


def names(spans: Iterable[Told]) -> list[str]:
    return [span.name for span in spans]


def assert_login(collected: Collector) -> None:
    login, wrong = collected.named("POST /auth/login")
    assert (login.kind, login.parent_id, login.is_error) == ("SERVER", "", False)
    assert login.attributes == {
        "http.request.method": "POST", "url.scheme": "http", "network.protocol.version": "1.1",
        "http.route": "/auth/login", "http.response.status_code": 200,
    }  # fmt: skip
    assert (wrong.attributes["http.response.status_code"], wrong.is_error) == (401, False)
    parts = collected.parts_of(login)
    assert names(parts) == ["connection", "hash", "connection"]
    statements = [names(collected.parts_of(part)) for part in parts]
    assert statements == [["SELECT"], [], ["INSERT refresh_tokens"]]  # the first is of several tables
    (hashing,) = [part for part in parts if part.name == "hash"]
    assert 0 <= hashing.attributes["auth.hashing.wait"] < 2


def assert_refresh(collected: Collector) -> None:
    (refresh,) = collected.named("POST /auth/refresh")
    (connection,) = collected.parts_of(refresh)
    assert (connection.name, connection.events) == ("connection", ["connected"])
    (statement,) = collected.parts_of(connection)
    assert (statement.name, statement.kind) == ("UPDATE refresh_tokens", "CLIENT")
    assert statement.attributes == {"db.system.name": "postgresql", "db.query.summary": "UPDATE refresh_tokens"}
    assert refresh.resource["service.name"] == "auth-service"
    assert {"service.version", "service.instance.id"} <= refresh.resource.keys()


def assert_verify(collected: Collector) -> None:
    verified = collected.named("GET /internal/verify")
    assert [span.attributes["http.response.status_code"] for span in verified] == [200, 401]
    assert {span.attributes["http.route"] for span in verified} == {"/internal/verify"}


def assert_mail(collected: Collector) -> None:
    mail = next(span for span in collected.named("mail") if span.attributes["auth.mail.kind"] == "verify-email")
    (smtp,) = [part for part in collected.parts_of(mail) if part.name == "SMTP"]
    assert (smtp.kind, smtp.attributes["server.address"], smtp.events) == ("CLIENT", "127.0.0.1", ["connected"])
    assert {"transaction", "connection"} < set(names(collected.parts_of(mail)))


def assert_refusals(collected: Collector) -> None:
    """A path that is no route, and a method that is none, are a client's text."""
    (unknown,) = collected.named("GET")
    assert (unknown.attributes["http.response.status_code"], "http.route" in unknown.attributes) == (404, False)
    (other,) = [span for span in collected.spans if span.attributes.get("http.request.method") == "_OTHER"]
    assert (other.name.split()[0], other.attributes["http.response.status_code"]) == ("HTTP", 405)


def assert_fault(collected: Collector) -> None:
    (failed,) = [span for span in collected.named("POST /auth/register") if span.is_error]
    assert failed.attributes["error.type"] == "500"
    (transaction,) = [part for part in collected.parts_of(failed) if part.name == "transaction"]
    assert transaction.is_error
    (statement,) = [part for part in collected.parts_of(transaction) if part.is_error]
    assert statement.name == "INSERT users"
    assert "Violation" in statement.attributes["error.type"]


def assert_log(log: str, collected: Collector) -> None:
    """Each line about a request has the ids of its span."""
    lines = [json.loads(line) for line in log.splitlines() if '"event":"request"' in line]
    told = {(span.trace_id, span.span_id): span for span in collected.spans if span.kind == "SERVER"}
    for line in lines:
        span = told[line["trace_id"], line["span_id"]]
        assert span.attributes["http.response.status_code"] == line["status"]


def ask(server: Server, address: str, *given: dict[str, str]) -> int:
    """Ask for a page from this address of loopback, with these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10, source_address=(address, 0))
    try:
        connection.putrequest("GET", "/problems/not-found")
        for name, value in (pair for headers in given for pair in headers.items()):
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("database", ["sqlite+aiosqlite://"])
async def test_only_a_trusted_proxy_says_which_trace_a_request_is_of_and_whether_it_is_recorded(
    database: str, tmp_path: Path
) -> None:
    never = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    with collector() as collected:
        env = telemetry(collected, AUTH_PROXY__TRUSTED="127.0.0.9/32", OTEL_SERVICE_NAME="ours", **never)
        with Server(environment(database, **env), tmp_path) as server:
            server.wait_ready()
            assert ask(server, "127.0.0.1", PARENT) == 200
            assert ask(server, "127.0.0.9") == 200
            assert ask(server, "127.0.0.9", PARENT, PARENT) == 200
            assert ask(server, "127.0.0.9", PARENT | {"traceparent": f"00-{TRACE}-{SPAN}-00"}) == 200
            assert ask(server, "127.0.0.9", PARENT | {"traceparent": f"00-{TRACE}-{SPAN}-01-more"}) == 200
            assert ask(server, "127.0.0.9", PARENT) == 200
            assert ask(server, "127.0.0.9", PARENT | {"tracestate": "not valid"}) == 200
            await collected.wait_for("GET /problems/{code}", 2)
            assert server.terminate() == 0
    assert [(span.trace_id, span.parent_id, span.state) for span in collected.spans] == [
        (TRACE, SPAN, PARENT["tracestate"]), (TRACE, SPAN, ""),
    ]  # fmt: skip
    assert {span.resource["service.name"] for span in collected.spans} == {"ours"}
    lines = [json.loads(line) for line in server.log().splitlines() if "/problems/{code}" in line]
    assert [line["trace_id"] == TRACE for line in lines] == [False, False, False, True, False, True, True]
    assert len({line["span_id"] for line in lines} | {SPAN}) == 7


async def test_each_worker_sends_its_own_spans_and_what_is_left_when_it_ends(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    with collector() as collected:
        env = environment(url, **telemetry(collected, OTEL_BSP_SCHEDULE_DELAY="3600000"))
        with Server(env, tmp_path, workers=2) as server:
            wait_until(lambda: server.log().count("service.started") == 2, 20, server.log)
            for other in map(psutil.Process, server.worker_pids()):
                other.suspend()
                assert ask(server, "127.0.0.1") == 200
                other.resume()
            assert collected.spans == []
            assert server.terminate() == 0
    asked = collected.named("GET /problems/{code}")
    assert len(asked) == len({span.resource["service.instance.id"] for span in asked}) == 2
