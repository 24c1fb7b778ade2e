"""Real scrapes satisfy promtool, and the alerts and the dashboard that are shipped ask for what there is."""

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from auth_service.api.metrics.families import FAMILIES, Merge
from tests.conftest import environment
from tests.support.client import PASSWORD
from tests.support.markdown import ROOT, code, section, tables, text
from tests.support.postgres import Postgres
from tests.support.prometheus import HEADERS, INTERNAL_TOKEN, Scrape, prometheus, promtool, query, scrape
from tests.support.server import Server, free_port, wait_until

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
METRIC = re.compile(r"\b(?:auth|process)_[a-z_]+")
NAMES = re.findall(r"alert: (\w+)", ALERTS.read_text("utf-8"))
JOB = 'job="auth-service",instance="auth-1"'
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]

# What is different from the healthy recording when an alert is to fire: how a series goes on after its first value, or
# the values that it has. In promtool's notation, a minute each.
CASES: Mapping[str, Mapping[str, str]] = {
    "AuthDown": {f"up{{{JOB}}}": "0+0x90"},
    "AuthErrors": {f'auth_http_requests_total{{{JOB},route="/auth/login",method="POST",status="503"}}': "0+60x90"},
    "AuthRefreshSlow": {
        f'auth_http_request_duration_seconds_bucket{{{JOB},route="/auth/refresh",method="POST",le="{end}"}}': rise
        for end, rise in (("0.25", "0+0x90"), ("0.5", "0+60x90"), ("+Inf", "0+60x90"))
    },
    "AuthTokensReused": {f'auth_refreshes_total{{{JOB},outcome="reuse"}}': "0+3x90"},
    "AuthLoginsFail": {f'auth_logins_total{{{JOB},outcome="failed"}}': "0+120x90"},
    "AuthSecondFactorsFail": {f'auth_second_factors_total{{{JOB},outcome="failed"}}': "0+12x90"},
    "AuthRefreshLoop": {f'auth_refreshes_total{{{JOB},outcome="unchanged"}}': "0+12x90"},
    "AuthThrottles": {f'auth_throttled_total{{{JOB},what="login"}}': "0+120x90"},
    "AuthHashingOverloaded": {f"auth_hashing_shed_total{{{JOB}}}": "0+6x90"},
    "AuthPoolExhausted": {f"auth_db_pool_timeouts_total{{{JOB}}}": "0+6x90"},
    "AuthReplicaUnused": {f"auth_database_replica_up{{{JOB}}}": "0+0x90"},
    "AuthRevocationsStale": {f"auth_revocations_stale{{{JOB}}}": "1+0x90"},
    "AuthSigningKeyUnusable": {f"auth_signing_key_usable{{{JOB}}}": "0+0x90"},
    "AuthSigningKeyLate": {f"auth_signing_key_next_timestamp_seconds{{{JOB}}}": "0+0x90"},
    "AuthMailStuck": {f"auth_mails_oldest_seconds{{{JOB}}}": "0+60x90"},
    "AuthMailGivenUp": {f"auth_mails_given_up_total{{{JOB}}}": "0+1x90"},
    "AuthCleanupBehind": {f"auth_cleanup_oldest_expired_seconds{{{JOB}}}": "180000+0x90"},
    "AuthWorkersMissing": {f"auth_workers_reporting{{{JOB}}}": "1+0x90"},
    "AuthRestarts": {f'process_start_time_seconds{{{JOB},worker="1"}}': "0+120x90"},
    "AuthFilesRunOut": {f'process_open_fds{{{JOB},worker="0"}}': "1000000+0x90"},
}


@pytest.fixture(scope="module")
def server(postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers with all that has metrics: PostgreSQL, mail, a clean-up each second, and a replica, of a sort."""
    name, folder = f"metrics_{uuid4().hex}", tmp_path_factory.mktemp("metrics")
    postgres.create_database(name, template=migrated_template)
    env = environment(
        postgres.url(name),
        AUTH_INTERNAL_TOKEN=INTERNAL_TOKEN,
        AUTH_CLEANUP__INTERVAL="1",
        AUTH_MAIL__HOST="127.0.0.1",
        AUTH_MAIL__PORT=str(free_port()),
        AUTH_MAIL__SECURITY="none",
        AUTH_MAIL__SENDER="no-reply@example.com",
        DATABASE_READ_REPLICA_URL=postgres.url(name),
    )
    with Server(env, folder, workers=2) as running:
        running.wait_ready(60)
        yield running
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def recording(server: Server) -> Scrape:
    """A scrape after some use of a service that is well."""
    use(server)
    wait_until(lambda: is_well(scrape(server.base_url)), 30, lambda: scrape(server.base_url).text, interval=0.2)
    return scrape(server.base_url)


def use(server: Server) -> None:
    with httpx.Client(base_url=server.base_url, headers=HEADERS, trust_env=False) as client:
        client.post("/auth/register", json={"email": "ada@example.com", "password": PASSWORD})
        tokens = client.post("/auth/login", json={"email": "ada@example.com", "password": PASSWORD}).json()
        client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        for path in ("/auth/me", "/internal/verify", "/.well-known/jwks.json", "/nowhere"):
            client.get(path, headers=bearer)


def is_well(found: Scrape) -> bool:
    has_cleaned = found.value("auth_cleanup_last_success_timestamp_seconds")
    return found.value("auth_workers_reporting") == 2 and bool(has_cleaned) and found.value("auth_logins_total") > 0


def exactly(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return {name for name in METRIC.findall(re.sub(r'"[^"]*"', "", expression)) if not name.startswith("auth_service")}


def test_promtool_has_nothing_to_object_to_a_scrape(recording: Scrape) -> None:
    assert promtool("check", "metrics", text=recording.text) == ""


def test_the_shipped_configuration_and_its_alerts_are_valid(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(ALERTS.parent / name, tmp_path)
    (tmp_path / "internal-token").write_text(INTERNAL_TOKEN)
    assert f"{len(NAMES)} rules found" in promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_all_that_alerts_and_dashboard_ask_for_is_in_a_scrape(recording: Scrape) -> None:
    rules = re.sub(r"#.*|summary: .*|runbook_url: .*", "", ALERTS.read_text("utf-8"))
    wanted = exactly(rules).union(*map(exactly, EXPRESSIONS))
    assert len(wanted) > 25
    assert wanted - recording.names == set()


def test_every_alert_fires_in_its_case_and_none_in_the_healthy_recording(recording: Scrape, tmp_path: Path) -> None:
    assert set(CASES) == set(NAMES)
    healthy = series(recording)
    tests = [{"interval": "1m", "input_series": listed(healthy), "promql_expr_test": [fires("", None)]}]
    for name, changes in CASES.items():
        case = {
            "interval": "1m",
            "input_series": listed(healthy | dict(changes)),
            "promql_expr_test": [fires(name, name)],
        }
        tests.append(case)
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", str(file))


def fires(name: str, expected: str | None) -> dict[str, Any]:
    """After 80 minutes this alert fires and, where none is named, no other one."""
    which = f'{{alertstate="firing",alertname="{name}"}}' if name else '{alertstate="firing"}'
    samples = [{"labels": f'{{alertname="{expected}"}}', "value": 1}] if expected else []
    return {"expr": f"min by (alertname) (ALERTS{which})", "eval_time": "80m", "exp_samples": samples}


def series(recording: Scrape) -> dict[str, str]:
    """A recording as promtool's series: each stays what it is, but for times, which lie as far from now as they did."""
    now, found = time.time(), {f"up{{{JOB}}}": "1+0x90"}
    for name, labels, value in recording.samples:
        all_labels = ",".join([JOB, *(f'{key}="{word}"' for key, word in labels.items())])
        of_then = value - now if name.endswith("_timestamp_seconds") else value
        found[f"{name}{{{all_labels}}}"] = f"{of_then:.6f}+0x90"
    found[f"auth_database_replica_up{{{JOB}}}"] = "1+0x90"  # what the service here was given for one is none
    return found


def listed(found: Mapping[str, str]) -> list[dict[str, str]]:
    by_series = {
        frozenset(re.findall(r'(\w+)="([^"]*)"|^(\w+)', name)): (name, values) for name, values in found.items()
    }
    return [{"series": name, "values": values} for name, values in by_series.values()]


def test_what_to_do_about_every_alert_stands_in_the_docs() -> None:
    page = text("docs/alerts.md")
    heads = re.findall(r"^## (.*)$", page, re.MULTILINE)
    headings = {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}
    runbooks = re.findall(r"runbook_url: docs/alerts\.md#(\S+)", ALERTS.read_text("utf-8"))
    assert len(runbooks) == len(NAMES)
    assert set(runbooks) <= headings
    assert set(NAMES) <= set(code(page))


def test_the_operators_page_lists_every_metric_with_its_labels() -> None:
    (table,) = tables(section("docs/operating.md", "Metrics"))
    told = {code(row[0])[0]: set(code(row[1])) for row in table}
    assert told == {
        family.name: {*family.labels, *(["worker"] if family.merge is Merge.EACH else [])}
        for family in FAMILIES.values()
    }


def test_a_scrape_has_no_metric_but_those(recording: Scrape) -> None:
    known = {family.name for family in FAMILIES.values()}
    told = {re.sub("_(bucket|count|sum)$", "", name) for name in recording.names}
    assert told - known == set()
    assert known - told == {"auth_database_replica_lag_seconds"}


def test_the_page_shows_what_each_panel_of_the_dashboard_asks() -> None:
    (table,) = tables(section("docs/alerts.md", "The dashboard"))
    shown = {row[0]: row[1].replace("\\|", "|") for row in table}
    assert shown == {panel["title"]: "; ".join(f"`{plain(t['expr'])}`" for t in panel["targets"]) for panel in PANELS}


def plain(expression: str) -> str:
    """A panel's query, for all jobs and over five minutes."""
    expression = expression.replace('{job="$job"}', "").replace('job="$job", ', "")
    return expression.replace("[$__rate_interval]", "[5m]")


def test_a_real_prometheus_finds_something_for_every_panel(server: Server, recording: Scrape, tmp_path: Path) -> None:
    (tmp_path / "internal-token").write_text(INTERNAL_TOKEN)
    shutil.copy(ALERTS, tmp_path)
    shipped = (ALERTS.parent / "prometheus.yml").read_text("utf-8")
    here = shipped.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("interval: 15s", "interval: 1s")
    (tmp_path / "prometheus.yml").write_text(here)
    with prometheus(tmp_path / "prometheus.yml", tmp_path) as url:
        wait_until(lambda: has_rates(url), 30, lambda: str(query(url, "up")), interval=0.2)
        use(server)
        asked = [plain(expression) for expression in EXPRESSIONS]
        assert [expression for expression in asked if not query(url, expression)] == []
        rules = httpx.get(f"{url}/api/v1/rules", trust_env=False).json()["data"]["groups"][0]["rules"]
        assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] == "err"] == []


def has_rates(url: str) -> bool:
    return bool(query(url, "sum(rate(auth_http_requests_total[5m]))"))
