"""Makes the tables of the documentation from bench/results.json: `python -m bench.publish` measures nothing."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bench.figures import FILE, ROOT, TRIED, Figures, Part, command, rounded
from bench.pages import BLOCKS
from bench.plot import svg

PAGES = ("README.md", "docs/performance.md", "docs/scaling.md")
PLOT = "docs/performance.svg"
QUICK, PUBLISH = "quick", "publish"
END = "<!-- until here -->"
_BLOCK = re.compile(r"<!-- made by bench\.publish: (?P<name>[\w ]+) -->\n(?P<made>.*?)\n" + END, re.DOTALL)
Command = TypeVar("Command", bound=Callable[..., Any])


def options(of: Command) -> Command:
    """Give a command `--quick` and `--publish`, of which the later one counts, as its parameter `mode`."""
    publish = "Put the figures into bench/results.json and the pages that are made from it."
    of = click.option("--publish", "mode", flag_value=PUBLISH, help=publish)(of)
    return click.option("--quick", "mode", flag_value=QUICK, help="As short as can be: shows that everything runs.")(of)


def keep(part: str, figures: dict[str, Any], machine: dict[str, str], *, mode: str | None, root: Path = ROOT) -> None:
    """Put what a command found into the file, and print it: with `--publish`, the file of the pages, made again."""
    file = FILE if mode == PUBLISH else TRIED
    found = Figures.read(root / file)
    found.parts[part] = Part(command(), machine, rounded(figures))
    found.write(root / file)
    if mode == PUBLISH:
        write_pages(found, root)
    block = part.partition(" ")[0]
    click.echo(f"{BLOCKS[block](found)}\n\nwritten to {file}", err=True)


def write_pages(figures: Figures, root: Path) -> None:
    """Write the plot, and each part of the pages that is made."""
    (root / PLOT).write_text(svg(figures), "utf-8")
    for name in PAGES:
        page = root / name
        page.write_text(filled(page.read_text("utf-8"), figures), "utf-8")


def filled(text: str, figures: Figures) -> str:
    """The page with what stands between the marks made again.

    Raises:
        KeyError: a mark names nothing that can be made.
    """
    return _BLOCK.sub(lambda found: _marked(found["name"], BLOCKS[found["name"]](figures)), text)


def by_hand(text: str) -> str:
    """What of a page is not made."""
    return _BLOCK.sub("", text)


def _marked(name: str, made: str) -> str:
    return f"<!-- made by bench.publish: {name} -->\n\n{made}\n\n{END}"


@click.command()
def main() -> None:
    """Make the tables and the plot again, from bench/results.json."""
    write_pages(Figures.read(), ROOT)


if __name__ == "__main__":
    main()
