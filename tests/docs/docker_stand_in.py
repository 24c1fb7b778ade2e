"""`docker` for pages that are followed without Docker: the same words and options, and the service as a process.

    docker_stand_in.py FOLDER build|run|exec ...

What `run -d` would start is only noted in FOLDER, as its environment, for `exec` and for the test to start. An option
that no page uses is an error, as is a mount of a file that is not there.
"""

import argparse
import json
import os
import sys
from pathlib import Path


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build")
    build.add_argument("--tag", required=True)
    build.add_argument("--build-arg", action="append")
    build.add_argument("context")
    run = commands.add_parser("run")
    for flag in ("--rm", "-d", "--read-only"):
        run.add_argument(flag, action="store_true")
    for option in ("-v", "-e"):
        run.add_argument(option, action="append", default=[])
    for option in ("--pull", "--name", "--env-file", "-p", "--tmpfs", "--cap-drop", "--security-opt", "--stop-timeout"):
        run.add_argument(option)
    run.add_argument("image", choices=["auth-service"])
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    inside = commands.add_parser("exec")
    inside.add_argument("name")
    inside.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(words)


def environment(asked: argparse.Namespace) -> dict[str, str]:
    """The variables of a container, taken as Docker does: all that follows the sign is the value."""
    lines = Path(asked.env_file).read_text("utf-8").splitlines() if asked.env_file else []
    return dict(line.split("=", 1) for line in [*lines, *asked.e])


def main(folder: Path, words: list[str]) -> None:
    asked = parsed(words)
    if asked.command == "build":
        assert (Path(asked.context) / "Dockerfile").exists()
        return
    if asked.command == "run":
        for mount in asked.v:
            source, target, how = mount.split(":")
            assert Path(source).exists(), source
            assert (target, how) == (source, "ro")
        env = environment(asked)
        if asked.d:
            (folder / asked.name).write_text(json.dumps(env))
            return
        program = ["auth-service", *asked.arguments]
    else:
        env, program = json.loads((folder / asked.name).read_text("utf-8")), asked.arguments
    os.execvpe(program[0], program, {"PATH": os.environ["PATH"], **env})  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
