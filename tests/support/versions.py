"""Two versions of the service on both sides of a migration, in folders from which their processes run."""

import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from alembic.script import ScriptDirectory

from auth_service.database.migrator import config

ROOT = Path(__file__).parents[2]
_PARTS = ("auth_service", "migrations", "deploy/sql")
_LATER = "9999"
# A migration as the next one may be: it adds, and those who do not know of it are served.
_MIGRATION = '''"""A column that nobody knows yet"""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{later}", "{head}", None, None
oldest_served = "{head}"


def upgrade() -> None:
    op.add_column("users", sa.Column("of_a_later_version", sa.Integer(), nullable=True))
    op.create_table("later_things", sa.Column("id", sa.Integer(), nullable=False, primary_key=True))


def downgrade() -> None:
    op.drop_table("later_things")
    op.drop_column("users", "of_a_later_version")
'''
_EFFECTS = {"up": {"locks": {"users": "ACCESS EXCLUSIVE"}}, "down": {"locks": {}, "lost": ["users.of_a_later_version"]}}


@dataclass(frozen=True)
class Version:
    """The revision that its code works on, and the variables with which its processes start."""

    head: str
    environment: dict[str, str]

    @classmethod
    def of(cls, folder: Path, head: str) -> Self:
        return cls(head, {} if folder == ROOT else {"PYTHONPATH": str(folder)})


def around_the_newest_migration(folder: Path) -> tuple[Version, Version]:
    """The version of the last commit before the newest migration, and that of this tree.

    Where there is none, because that migration is the first, or does not serve the version before it, or there is no
    history, it is this tree and a later one, which has one migration more.
    """
    newest = ScriptDirectory.from_config(config()).get_revision("head")
    before = str(newest.down_revision)
    if newest.module.oldest_served <= before and _check_out_before(Path(newest.path), folder / "older"):
        return Version.of(folder / "older", before), Version.of(ROOT, newest.revision)
    return Version.of(ROOT, newest.revision), _one_later(folder / "later", newest.revision)


def before_migration(revision: str, folder: Path) -> Version | None:
    """The version of the last commit before a migration; None where there is no history."""
    found = ScriptDirectory.from_config(config()).get_revision(revision)
    older = folder / "older"
    return Version.of(older, str(found.down_revision)) if _check_out_before(Path(found.path), older) else None


def _check_out_before(migration: Path, folder: Path) -> bool:
    """Put the files of the last commit without a migration there; False if there is none that trusts newer schemas."""
    try:
        added = _git("log", "--format=%H", "--diff-filter=A", "--", str(migration)).decode().split()
        archive = _git("archive", f"{added[-1]}^" if added else "HEAD", *_PARTS)
    except (OSError, subprocess.CalledProcessError):
        return False
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return "oldest_served" in (folder / "auth_service/database/schema.py").read_text("utf-8")


def _git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, timeout=30, check=True).stdout


def _one_later(folder: Path, head: str) -> Version:
    for part in _PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "migrations/versions/9999_later.py").write_text(_MIGRATION.format(later=_LATER, head=head), "utf-8")
    effects = folder / "migrations/effects.json"
    effects.write_text(json.dumps({**json.loads(effects.read_text("utf-8")), _LATER: _EFFECTS}), "utf-8")
    with (folder / "auth_service/database/schema.py").open("a", encoding="utf-8") as code:
        code.write(f'REVISIONS, HEAD = (*REVISIONS, "{_LATER}"), "{_LATER}"\n')
    return Version.of(folder, _LATER)
