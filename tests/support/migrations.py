"""What `auth-service migrate` says on an empty database, whatever revisions there are."""

from pathlib import Path

_VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
APPLIED = f"applied: {', '.join(sorted(file.name[:4] for file in _VERSIONS.glob('*.py')))}\n"
