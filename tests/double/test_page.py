"""The page for authors of clients, followed as it stands."""

from pathlib import Path

from tests.support.claims import runs
from tests.support.server import free_port
from tests.support.shell import Shell

PAGE = "docs/testing-clients.md"


@runs(PAGE, "run: start", "run: faults", "run: clock")
def test_the_commands_of_the_page_answer_as_it_shows(tmp_path: Path) -> None:
    own = {"9000": str(free_port())}
    shell = Shell(tmp_path, prepared="trap 'kill %1' EXIT")
    shell.follow_transcript(PAGE, "run: start", "run: faults", "run: clock", replaced=own)
