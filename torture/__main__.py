"""The command line: `python -m torture run` and `python -m torture check FILE`."""

import argparse
import sys
import tempfile
from pathlib import Path

from torture.checker import report
from torture.history import Record, Settings
from torture.nemesis import ACTS
from torture.run import Plan, run


def main() -> int:
    options = _parser().parse_args()
    if options.word == "check":
        return report(Record.read(options.file))
    folder = options.folder or Path(tempfile.mkdtemp(prefix="torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"history and logs: {folder}", flush=True)
    settings = Settings(
        grace=options.grace, access_lifetime=60, leeway=5, session_lifetime=120, stale_after=options.stale_after
    )
    return report(Record.read(run(_plan(options, folder, settings))))


def _plan(options: argparse.Namespace, folder: Path, settings: Settings) -> Plan:
    return Plan(
        seconds=options.seconds,
        seed=options.seed,
        owners=options.owners,
        thieves=options.thieves,
        followers=options.followers,
        without=frozenset(options.without),
        keys=not options.no_keys,
        folder=folder,
        settings=settings,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torture", description="Prove, or disprove, the promises about sessions.")
    words = parser.add_subparsers(dest="word", required=True)
    runs = words.add_parser("run", help="start everything, break it for a while, and check what happened")
    runs.add_argument("--seconds", type=float, default=600)
    runs.add_argument("--seed", type=int, default=1)
    runs.add_argument("--owners", type=int, default=12)
    runs.add_argument("--thieves", type=int, default=2)
    runs.add_argument("--followers", type=int, default=1)
    runs.add_argument("--grace", type=float, default=4, help="AUTH_TOKENS__REFRESH_GRACE; 0 must lead to violations")
    runs.add_argument("--no-keys", action="store_true", help="clients send no Idempotency-Key")
    runs.add_argument("--stale-after", type=float, default=2, help="AUTH_REVOCATIONS__STALE_AFTER")
    runs.add_argument("--without", action="append", default=[], choices=sorted(ACTS), help="switch one nemesis off")
    runs.add_argument("--folder", type=Path, help="where history and logs go; a new one by default")
    check = words.add_parser("check", help="check a history")
    check.add_argument("file", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
