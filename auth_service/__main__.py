"""The `auth-service` command, also as `python -m auth_service` where it is not on the path."""

import sys


def run() -> None:
    """Run the command. Where only the verifier and its packages are installed, say so; exit code 2."""
    try:
        from auth_service.cli import main  # noqa: PLC0415  # where click is missing, this fails

        main()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", __package__}:
            raise
        needed = "the verifier does without it, and the command needs all of requirements.lock"
        sys.stderr.write(f"Error: the package '{missing}' is not installed here: {needed}\n")
        sys.exit(2)


if __name__ == "__main__":
    run()
