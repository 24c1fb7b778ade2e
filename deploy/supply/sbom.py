"""Writes a CycloneDX bill of materials of the image to standard output.

It holds the Python packages of `requirements.lock`, with the hash of every file that the lock admits for them and the
licence that the installed package names; the base image by its name; and, with `--dpkg-status FILE`, the Debian
packages that this file lists (/var/lib/dpkg/status of the image). It does not hold what CPython bundles.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

import auth_service
from deploy.supply import ROOT

_PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?P<rest>.*(?:\n[ ]+.*)*)", re.MULTILINE)
_SHA256 = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_FIELD = re.compile(r"^(Package|Status|Version|Architecture): (.*)$", re.MULTILINE)
_LICENCES = LicenseFactory()


def python_packages(lock: str) -> Iterator[Component]:
    """A component for each pin of a lock."""
    for pin in _PIN.finditer(lock):
        name, version = pin["name"], pin["version"]
        yield Component(
            name=name,
            version=version,
            purl=PackageURL("pypi", name=name, version=version),
            bom_ref=f"{name}=={version}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=found) for found in _SHA256.findall(pin["rest"])],
            licenses=[_LICENCES.make_from_string(named) for named in _licence(name)],
        )


def _licence(name: str) -> list[str]:
    """What the installed package says that its licence is; nothing for one that this machine does not install."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return []
    classifiers = [
        line.rpartition(" :: ")[2] for line in said.get_all("Classifier", []) if line.startswith("License ::")
    ]
    short = said["License"] if "\n" not in (said["License"] or "") else None  # some put the whole text there
    return [found for found in (said["License-Expression"], short, *classifiers) if found][:1]


def debian_packages(dpkg_status: str) -> Iterator[Component]:
    """A component for each installed package of a dpkg status file."""
    for paragraph in dpkg_status.split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            where = {"arch": fields["Architecture"]}
            purl = PackageURL("deb", "debian", name, version, where)
            yield Component(name=name, version=version, purl=purl, bom_ref=f"deb:{name}:{where['arch']}")


def base_image(dockerfile: str) -> Component:
    found = re.search(r"^FROM (\S+?):(\S+) AS base", dockerfile, re.MULTILINE)
    if found is None:
        raise ValueError("the Dockerfile has no stage 'base'")
    return Component(name=found[1], version=found[2], type=ComponentType.CONTAINER, bom_ref="base-image")


def bill_of_materials(dpkg_status: Path | None) -> str:
    bom = Bom()
    ours = Component(
        name="auth-service", version=auth_service.__version__, type=ComponentType.CONTAINER, bom_ref="auth-service"
    )
    ours.licenses.add(_LICENCES.make_with_id("MIT"))
    bom.metadata.component = ours
    bom.components.update(python_packages((ROOT / "requirements.lock").read_text("utf-8")))
    bom.components.add(base_image((ROOT / "Dockerfile").read_text("utf-8")))
    if dpkg_status:
        bom.components.update(debian_packages(dpkg_status.read_text("utf-8")))
    bom.register_dependency(ours, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.supply.sbom", description=__doc__)
    parser.add_argument("--dpkg-status", type=Path)
    sys.stdout.write(bill_of_materials(parser.parse_args().dpkg_status) + "\n")


if __name__ == "__main__":
    main()
