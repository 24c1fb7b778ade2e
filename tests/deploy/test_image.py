"""The image says where it comes from, as far as that can be seen without building it (deploy/try-image does that)."""

import re
import subprocess
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from auth_service import __version__
from tests.support.markdown import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LABELS = re.findall(r'^(?:LABEL|     ) (\S+)="(.*)"', DOCKERFILE, re.MULTILINE)


def test_make_image_gives_every_argument_that_a_label_shows() -> None:
    asked = ["make", "--dry-run", "image", "SOURCE=https://git.example/auth-service"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    given = dict(re.findall(r"--build-arg (\w+)=(\S+)", done.stdout))
    (declared,) = re.findall(r"^ARG (.*)$", DOCKERFILE, re.MULTILINE)
    assert set(given) == set(declared.split())
    shown = {name.removeprefix("org.opencontainers.image."): value for name, value in LABELS}
    assert {name: shown[name] for name in ("version", "revision", "created", "source")} == {
        "version": "$VERSION",
        "revision": "$REVISION",
        "created": "$CREATED",
        "source": "$SOURCE",
    }
    assert shown["licenses"] == "MIT"
    assert given["VERSION"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", given["REVISION"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", given["CREATED"])
    assert given["SOURCE"] == "https://git.example/auth-service"


def test_a_password_in_the_address_of_the_repository_does_not_become_a_label() -> None:
    address = "https://ada:not-to-be-told@git.example/auth-service"
    environment = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "remote.origin.url", "GIT_CONFIG_VALUE_0": address}
    asked = ["make", "--dry-run", "image"]
    path = {"PATH": "/usr/bin:/bin", **environment}
    done = subprocess.run(asked, cwd=ROOT, env=path, capture_output=True, text=True, timeout=30, check=True)
    assert "--build-arg SOURCE=https://git.example/auth-service ." in done.stdout


def test_the_bill_of_materials_is_at_the_path_that_its_label_names() -> None:
    (path,) = [value for name, value in LABELS if name == "auth-service.sbom"]
    folder, _, name = path.rpartition("/")
    assert f"COPY --from=sbom /opt/{name} {folder}/\n" in DOCKERFILE


def test_the_stage_that_writes_it_installs_what_it_needs_and_no_more() -> None:
    (installed,) = re.findall(r"^RUN for name in (.*); \\$", DOCKERFILE, re.MULTILINE)
    needed: set[str] = set()
    waiting = ["cyclonedx-python-lib"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in needed:
            needed.add(name)
            wanted = [Requirement(line) for line in requires(name) or ()]
            here = {"extra": "", "python_version": "3.13", "python_full_version": "3.13.0"}
            waiting += [one.name for one in wanted if one.marker is None or one.marker.evaluate(here)]
    assert set(installed.split()) == needed
