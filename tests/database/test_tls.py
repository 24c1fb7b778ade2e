"""TLS on the way to a real PostgreSQL: which servers are trusted, and what is said of one that is not."""

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support.certificates import DAY, Authority
from tests.support.postgres import Cluster, unprivileged, with_trigrams
from tests.support.server import run_command

BINARIES = with_trigrams()  # Debian's: that of the tests' package was built without TLS
RULES = """\
local all postgres trust
hostnossl all postgres 127.0.0.1/32 trust
hostssl all postgres all trust
hostssl all shows_a_certificate all cert
hostssl all over_tls all trust
"""

pytestmark = pytest.mark.skipif(
    BINARIES is None and not os.environ.get("CI"),
    reason="no PostgreSQL with TLS here; on Debian: apt install postgresql",
)


class Secured:
    """A server with TLS for `localhost`, whose certificate can be changed; `urls` lead to it."""

    def __init__(self, cluster: Cluster, authority: Authority) -> None:
        self.cluster = cluster
        self.authority = authority

    def url(self, query: str, *, host: str = "localhost", user: str = "postgres") -> str:
        return f"postgresql://{user}@{host}:{self.cluster.port}/postgres?{query}"

    def present(self, *hosts: str, lasts: timedelta = DAY) -> None:
        """Let the server show a certificate for these hosts from now on."""
        for name, file in zip(
            ("server.crt", "server.key"), self.authority.issue("server", *hosts, lasts=lasts), strict=True
        ):
            place = self.cluster._folder / "data" / name
            shutil.copy(file, place)
            if owner := unprivileged():
                os.chown(place, owner["user"], owner["group"])
        self.cluster.execute("SELECT pg_reload_conf()")
        self.cluster.execute("SELECT pg_sleep(0.1)")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with Cluster.create(binaries=BINARIES) as cluster:
        made = Secured(cluster, authority)
        made.present("localhost")
        root = cluster._folder / "data" / "authority.crt"
        shutil.copy(authority.file, root)
        root.chmod(0o644)
        cluster.execute("CREATE ROLE shows_a_certificate LOGIN; CREATE ROLE over_tls LOGIN")
        (cluster._folder / "data" / "pg_hba.conf").write_text(RULES)
        for name, value in {"ssl": "on", "ssl_ca_file": "authority.crt"}.items():
            cluster.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        cluster.restart()
        yield made


def outcome(url: str, folder: Path, **variables: str) -> tuple[int, str]:
    """Run a command, and return its exit code and what it said; `folder` is the home, in which libpq's files may be."""
    env = environment(url, HOME=str(folder), **variables)
    done = run_command("migrate", "--check", "--json", env=env, cwd=folder)
    return done.returncode, done.stderr


CAN_CONNECT = 3  # there is something to migrate
UNKNOWN = "is of no authority that is trusted: give the file of its authority as sslrootcert in DATABASE_URL"
OTHER_NAME = "is for another name than the host in DATABASE_URL"
# What the URL asks for, whether the system trusts the authority, and what comes of it.
CASES: list[tuple[str, bool, int, str]] = [
    ("sslmode=require", False, CAN_CONNECT, ""),
    ("sslmode=prefer", False, CAN_CONNECT, ""),
    ("sslmode=verify-full&sslrootcert={authority}", False, CAN_CONNECT, ""),
    ("sslmode=verify-ca&sslrootcert={authority}", False, CAN_CONNECT, ""),
    ("sslmode=verify-full", True, CAN_CONNECT, ""),
    ("sslmode=verify-full&ssl_max_protocol_version=TLSv1.2", True, CAN_CONNECT, ""),
    ("sslrootcert=system", True, CAN_CONNECT, ""),
    ("sslmode=verify-full&channel_binding=require", True, CAN_CONNECT, ""),
    ("sslmode=verify-full", False, 1, UNKNOWN),
    ("sslrootcert=system", False, 1, UNKNOWN),
    ("sslmode=require&sslrootcert={other}", True, 1, UNKNOWN),
    ("sslmode=require&ssl_max_protocol_version=TLSv1.1&ssl_min_protocol_version=TLSv1.1", True, 1, "TLS with the"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_server_is_trusted_as_its_url_says(
    secured: Secured, case: tuple[str, bool, int, str], tmp_path: Path
) -> None:
    """Where no file is named, verify-full trusts whom the system trusts, and nobody else."""
    query, system, code, words = case
    others = Authority(tmp_path)
    url = secured.url(query.format(authority=secured.authority.file, other=others.file))
    trusted = secured.authority.file if system else others.file
    found, told = outcome(url, tmp_path, SSL_CERT_FILE=str(trusted), SSL_CERT_DIR="/nowhere")
    assert (found, words in told) == (code, True), told


def test_a_certificate_for_another_name_or_out_of_date_is_told_apart(secured: Secured, tmp_path: Path) -> None:
    by = f"sslmode=verify-full&sslrootcert={secured.authority.file}"
    for wrong, query in ((OTHER_NAME, by), (OTHER_NAME, "sslmode=verify-full")):
        code, told = outcome(secured.url(query, host="127.0.0.1"), tmp_path, SSL_CERT_FILE=str(secured.authority.file))
        assert (code, wrong in told) == (1, True), told
    secured.present("localhost", lasts=-DAY)
    try:
        code, told = outcome(secured.url(by), tmp_path)
        assert (code, "has expired, or is not valid yet" in told) == (1, True), told
    finally:
        secured.present("localhost")


def test_a_file_in_the_home_is_the_authority_as_for_libpq(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / ".postgresql").mkdir()
    shutil.copy(secured.authority.file, tmp_path / ".postgresql" / "root.crt")
    assert outcome(secured.url("sslmode=verify-full"), tmp_path)[0] == CAN_CONNECT
    assert outcome(secured.url("sslmode=verify-ca"), tmp_path)[0] == CAN_CONNECT


def test_a_certificate_of_ours_is_shown_also_where_the_system_judges_the_servers(
    secured: Secured, tmp_path: Path
) -> None:
    certificate, key = secured.authority.issue("shows_a_certificate")
    shown = f"sslcert={certificate}&sslkey={key}"
    trusting = {"SSL_CERT_FILE": str(secured.authority.file)}
    for query in (f"sslmode=verify-full&{shown}", f"sslmode=require&{shown}"):
        url = secured.url(query, user="shows_a_certificate")
        assert outcome(url, tmp_path, **trusting)[0] == CAN_CONNECT, query
    code, told = outcome(secured.url("sslmode=require", user="shows_a_certificate"), tmp_path)
    assert (code, "28000" in told) == (1, True), told


def test_who_must_use_tls_and_does_not_is_told_so(secured: Secured, tmp_path: Path) -> None:
    assert outcome(secured.url("sslmode=require", user="over_tls"), tmp_path)[0] == CAN_CONNECT
    code, told = outcome(secured.url("sslmode=disable", user="over_tls"), tmp_path)
    assert (code, "or only with TLS (sslmode=require)" in told) == (1, True), told
