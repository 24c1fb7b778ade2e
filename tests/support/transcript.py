"""Blocks of the pages that show a shell session: the commands, and below each the answer that it gets."""

import os
import re
import subprocess
from pathlib import Path

from .markdown import block

_BETWEEN_STEPS = "<<<next>>>"


def transcript(page: str, *markers: str) -> list[tuple[str, str]]:
    """Each command of the blocks (with the preparations before it), and the answer that is shown below it."""
    blocks = "\n".join(block(page, marker) for marker in markers)
    parts = re.findall(r"(.*?)^# ([^\n]*)\n", blocks, re.DOTALL | re.MULTILINE)
    return [(commands, shown) for commands, shown in parts]


def run_transcript(steps: list[tuple[str, str]], folder: Path, base_url: str, prepared: str = "") -> None:
    """Run the commands in one shell, as somebody does who pastes the block, after what is `prepared`.

    Fails if an answer is not as it is shown.
    """
    commands = [command.replace("auth=http://127.0.0.1:8000/", f"auth={base_url}/") for command, _ in steps]
    script = f"\necho '{_BETWEEN_STEPS}'\n".join([f"set -eu\n{prepared}", *commands])
    environment = {"PATH": os.environ["PATH"], "no_proxy": "127.0.0.1", "HOME": str(folder)}
    program = ["bash", "-c", script]
    done = subprocess.run(program, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    answers = [answer.strip() for answer in done.stdout.split(_BETWEEN_STEPS)[1:]]
    for (command, shown), answer in zip(steps, answers, strict=False):
        assert re.fullmatch(_pattern(shown), answer), f"{command}\nshown:  {shown}\nanswer: {answer}\n{done.stderr}"
    assert (done.returncode, len(answers)) == (0, len(steps)), done.stderr


def _pattern(shown: str) -> str:
    """A shown answer as a pattern: `...` stands for anything within one string."""
    return '[^"]+'.join(map(re.escape, shown.split("...")))
