"""The figures in the documentation are those of one file, and say of each target whether it is reached."""

import re
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from bench.figures import FILE, TRIED, Figures, rounded
from bench.pages import BLOCKS
from bench.plot import svg
from bench.publish import PAGES, PLOT, PUBLISH, QUICK, by_hand, filled, keep
from tests.support.markdown import ROOT

COMMANDS = ("compare", "second_factor", "passkeys", "start", "before", "servers", "cleanup", "scale", "soak")
MEASURED = re.compile(r"p50|p9\d|reached|ratio|\bms\b|MiB|per (CPU-)?second")
MARK = "<!-- made by bench.publish: soak -->\n{}\n<!-- until here -->"


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the pages, with the file that they are made from."""
    for name in (*PAGES, PLOT, FILE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_is_in_the_file(name: str) -> None:
    assert filled(page(name), Figures.read()) == page(name), "run `python -m bench.publish`"


def test_the_plot_shows_what_is_in_the_file() -> None:
    assert page(PLOT) == svg(Figures.read()), "run `python -m bench.publish`"


def test_everything_that_is_made_stands_in_one_place() -> None:
    marks = re.findall(r"<!-- made by bench\.publish: ([\w ]+) -->", "".join(map(page, PAGES)))
    assert sorted(marks) == sorted(BLOCKS)


def test_no_figure_stands_in_a_table_that_is_written_by_hand() -> None:
    told = by_hand(page("README.md")).partition("## What it costs\n")[2].partition("\n## ")[0]
    assert [line for line in (told + by_hand(page("docs/performance.md"))).splitlines() if line.startswith("|")] == []
    heads = re.findall(r"^(\|.*)\n\| ?---", by_hand(page("docs/scaling.md")), re.MULTILINE)
    assert heads
    assert [head for head in heads if MEASURED.search(head)] == []


def test_of_what_is_not_reached_the_reason_is_told() -> None:
    made = {name: make(Figures.read()) for name, make in BLOCKS.items()}
    assert [name for name, block in made.items() if "| no |" in block] == [], "tell why in bench/targets.py"
    assert "not measured" not in made["short"]


def test_every_row_of_what_is_made_has_as_many_cells_as_its_head() -> None:
    for make in BLOCKS.values():
        for block in make(Figures.read()).split("\n\n"):
            assert len({line.count("|") for line in block.splitlines() if line.startswith("|")}) <= 1


def test_everything_can_be_made_of_nothing() -> None:
    assert all(make(Figures()) for make in BLOCKS.values())


def test_what_is_made_replaces_only_what_stands_between_the_marks() -> None:
    made = "\n" + BLOCKS["soak"](Figures()) + "\n"
    assert filled(f"# Mine\n{MARK.format('old')}\nmine", Figures()) == f"# Mine\n{MARK.format(made)}\nmine"


def test_figures_are_read_as_they_were_written_with_four_digits(tmp_path: Path) -> None:
    keep(
        "soak",
        {"seconds": 3600, "memory_mib": {"server": {"first": 97.123456}}},
        {"cores": "2"},
        mode=None,
        root=tmp_path,
    )
    part = Figures.read(tmp_path / TRIED).parts["soak"]
    assert part.figures == {"seconds": 3600, "memory_mib": {"server": {"first": 97.12}}}
    assert part.machine == {"cores": "2"}
    assert rounded([281_791, 0.123456]) == [281_791, 0.1235]


def test_a_run_that_is_published_replaces_its_own_part_and_the_pages(root: Path) -> None:
    before = Figures.read(root / FILE)
    keep("cleanup", {"refresh_p99_ratio": 1.23}, {}, mode=PUBLISH, root=root)
    after = Figures.read(root / FILE)
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} == {"cleanup"}
    assert all("at most 3x | 1.23x | yes" in (root / name).read_text("utf-8") for name in ("README.md", PAGES[2]))


@pytest.mark.parametrize("mode", [QUICK, None])
def test_a_run_that_only_tries_changes_no_page_and_not_the_file_of_them(root: Path, mode: str | None) -> None:
    before = {name: (root / name).read_text("utf-8") for name in (*PAGES, FILE)}
    keep("cleanup", {"refresh_p99_ratio": 1.23}, {}, mode=mode, root=root)
    assert {name: (root / name).read_text("utf-8") for name in before} == before
    assert Figures.read(root / TRIED).at("cleanup", "refresh_p99_ratio") == 1.23


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_file_can_be_tried_and_published(command: str) -> None:
    main = import_module(f"bench.{command}").main
    assert {option.name for option in main.params if option.opts[0] in {"--quick", "--publish"}} == {"mode"}
    assert f"python -m bench.{command}" in page("bench/README.md")
