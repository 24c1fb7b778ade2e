"""`kubectl apply -k deploy/kubernetes`, without a cluster: the manifests are valid, their steps end in a sign-in."""

import asyncio
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from auth_service.settings import DatabaseSettings
from tests.support.deployed import (
    DEPLOY,
    missing_programs,
    nginx,
    outside,
    register_verify_and_sign_in,
)
from tests.support.mail_server import MailServer, mail_server
from tests.support.markdown import ROOT, named
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command
from tests.support.shell import Shell

FOLDER = DEPLOY / "kubernetes"
KUSTOMIZATIONS = (FOLDER / "migrate", FOLDER)  # in the order in which they are applied
OLD_MONTH = """
SET ROLE auth_owner;
SELECT attach_audit_partition('audit_events_old', format('FOR VALUES FROM (%L) TO (%L)', now() - interval '510 days',
                                                         now() - interval '500 days'))
"""
VERSIONS = ("1.33.0", kubernetes_validate.latest_version())


def documents(folder: Path) -> list[dict[str, Any]]:
    """Every manifest of a kustomization, as its file has it."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))["resources"]
    return [found for name in listed for found in yaml.safe_load_all((folder / name).read_text("utf-8"))]


MANIFESTS = {(found["kind"], found["metadata"]["name"]): found for kind in KUSTOMIZATIONS for found in documents(kind)}
PODS = {
    "migrate": MANIFESTS["Job", "auth-migrate"]["spec"]["template"],
    "auth": MANIFESTS["Deployment", "auth"]["spec"]["template"],
    "cleanup": MANIFESTS["CronJob", "auth-cleanup"]["spec"]["jobTemplate"]["spec"]["template"],
}


def test_the_connections_of_all_replicas_in_a_roll_out_are_those_that_the_page_asks_postgresql_for() -> None:
    most = MANIFESTS["HorizontalPodAutoscaler", "auth"]["spec"]["maxReplicas"]
    surge = MANIFESTS["Deployment", "auth"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    needed = (most + surge) * (DatabaseSettings(_env_file=None).largest_pool + 2)  # to listen, and for health checks
    page = (ROOT / "docs/deploying.md").read_text("utf-8")
    assert f"have up to {needed} connections" in page
    assert f"must allow for {needed} |" in page
    assert needed < int(re.findall(r"max_connections = (\d+)", page)[0])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_by_the_schemas_of_kubernetes(version: str) -> None:
    for found in MANIFESTS.values():
        kubernetes_validate.validate(found, version, strict=True)
    wrong = json.loads(json.dumps(MANIFESTS["Deployment", "auth"]).replace("runAsNonRoot", "runAsNonroot"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=["migrate", "service"])
def test_a_kustomization_lists_every_file_of_its_folder_and_builds(folder: Path) -> None:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    there = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == there
    if kubectl := shutil.which("kubectl"):
        done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=True)
        built = list(yaml.safe_load_all(done.stdout))
        assert {found["metadata"]["namespace"] for found in built} == {"auth"}
        assert "image: auth-service\n" not in done.stdout
        assert re.search(r"name: auth-settings-\w{10}\n", done.stdout) or folder.name == "migrate"


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_rights_that_it_does_not_need(name: str) -> None:
    spec = PODS[name]["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 10001)
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


def test_every_selector_finds_its_pods_and_the_drain_fits_into_the_grace_period() -> None:
    labels = {name: pod["metadata"]["labels"]["app.kubernetes.io/name"] for name, pod in PODS.items()}
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert MANIFESTS[kind, "auth"]["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == labels["auth"]
    assert MANIFESTS["Service", "auth"]["spec"]["selector"]["app.kubernetes.io/name"] == labels["auth"]
    policy = MANIFESTS["NetworkPolicy", "auth"]["spec"]["podSelector"]
    assert policy["matchLabels"]["app.kubernetes.io/name"] == labels["auth"]
    (jobs,) = MANIFESTS["NetworkPolicy", "auth-jobs"]["spec"]["podSelector"]["matchExpressions"]
    assert set(jobs["values"]) == {labels["migrate"], labels["cleanup"]}
    grace = PODS["auth"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= float(settings_of_the_service()["AUTH_SHUTDOWN__DRAIN"]) + 12  # docs/operating.md, 'The container'


def settings_of_the_service() -> dict[str, str]:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    (made,) = kustomization["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in made["literals"])


def test_the_page_makes_the_secrets_that_the_pods_read_and_applies_what_is_there(tmp_path: Path) -> None:
    blocks = [named("docs/deploying.md", name).text for name in ("run: secrets", "run: roll out")]
    said = Shell(tmp_path, prepared='kubectl() { printf "%s " "$@"; echo; }').run("\n".join(blocks))
    made = {
        name: set(re.findall(r"--from-(?:file|literal)=([\w-]+)", keys))
        for name, keys in re.findall(r"create secret generic (\S+) (.*)", said)
    }
    read: dict[str, set[str]] = {}
    for pod in PODS.values():
        (container,) = pod["spec"]["containers"]
        (volume,) = [volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume]
        files = re.findall(r"/secrets/([\w-]+)", json.dumps(container["env"]))
        read.setdefault(volume["secretName"], set()).update(files)
    assert made == read
    assert [ROOT / folder for folder in re.findall(r"apply -k (\S+)", said)] == [*KUSTOMIZATIONS]
    assert {(kind.capitalize(), name) for kind, name in re.findall(r"(job|deployment)[/ ](\S+)", said)} == {
        ("Job", "auth-migrate"), ("Deployment", "auth"),
    } <= set(MANIFESTS)  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the test's own: the names of the roles and of the database are those of the files."""
    if (missing := set(missing_programs()) - {"postgresql", "openssl"}) and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}")
    with Cluster.create() as running:
        running.execute((DEPLOY / "sql" / "roles.sql").read_text("utf-8"))
        yield running


class Pods:
    """The containers of the pods, each run by the real program with the environment that its manifest gives it."""

    def __init__(self, cluster: Cluster, mails: MailServer, folder: Path) -> None:
        self._folder = folder
        self.token = secrets.token_hex(32)
        values = {
            "secret-key": secrets.token_urlsafe(48),
            "internal-token": self.token,
            "mail-password": "of the mail server",
        }
        for name in ("owner", "app", "cleanup"):
            (folder / name).mkdir()
            url = cluster.url("auth").replace("postgres@", f"auth_{name}@")
            for key, value in {"database-url": url, **(values if name == "app" else {})}.items():
                (folder / name / key).write_text(value)
        self._places = {
            "AUTH_PROXY__TRUSTED": "127.0.0.1/32",
            "AUTH_MAIL__HOST": "127.0.0.1",
            "AUTH_MAIL__PORT": str(mails.port),
            "AUTH_MAIL__SECURITY": "none",
            "AUTH_AUDIT__RETENTION": "P3650D",
        }

    def env(self, name: str) -> dict[str, str]:
        (container,) = PODS[name]["spec"]["containers"]
        (volume,) = [volume["secret"] for volume in PODS[name]["spec"]["volumes"] if "secret" in volume]
        folder = self._folder / volume["secretName"].removeprefix("auth-")
        given = {one["name"]: one["value"].replace("/secrets", str(folder)) for one in container["env"]}
        if "envFrom" not in container:
            return given
        assert container["envFrom"] == [{"configMapRef": {"name": "auth-settings"}}]
        if name == "cleanup":  # it sends no mail; what a manifest gives goes before what it takes from elsewhere
            return {**settings_of_the_service(), **self._places, **given}
        mail = {"AUTH_MAIL__USERNAME", "AUTH_MAIL__PASSWORD_FILE"}  # the catcher knows neither TLS nor passwords
        return {key: given[key] for key in given.keys() - mail} | {
            key: value for key, value in {**settings_of_the_service(), **self._places}.items() if key not in mail
        }

    def run(self, name: str) -> str:
        """Run a job to its end, and return what it printed."""
        (container,) = PODS[name]["spec"]["containers"]
        done = run_command(*container["args"], env=self.env(name), cwd=self._folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def probe(self, kind: str, port: int) -> int:
        (container,) = PODS["auth"]["spec"]["containers"]
        path = container[f"{kind}Probe"]["httpGet"]["path"]
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=5).status_code


async def test_its_steps_in_their_order_lead_from_nothing_to_a_verified_sign_in(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with mail_server() as mails:
        pods = Pods(cluster, mails, tmp_path)
        with ExitStack() as ends:
            server = ends.enter_context(Server(pods.env("auth"), tmp_path))
            await asyncio.to_thread(server.wait_live, 60)
            assert (pods.probe("startup", server.port), pods.probe("liveness", server.port)) == (200, 200)
            assert pods.probe("readiness", server.port) == 503  # whoever forgets the Job is not let in
            await asyncio.to_thread(pods.run, "migrate")
            await asyncio.to_thread(server.wait_ready, 60)
            assert pods.probe("readiness", server.port) == 200
            gateway = ends.enter_context(nginx(server.port, tmp_path / "nginx", token=pods.token))
            async with outside(gateway) as client:
                tokens = await register_verify_and_sign_in(client, mails, pods.env("auth")["AUTH_PUBLIC_URL"])
                bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
                assert (await client.get("/app/", headers=bearer)).status_code == 503  # let through, to nobody
            cluster.execute(OLD_MONTH, "auth")
            report = json.loads(await asyncio.to_thread(pods.run, "cleanup"))
            assert (report["left"], report["audit_dropped"]) == (0, 0)  # by the retention of the service
