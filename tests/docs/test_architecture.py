"""The map in docs/architecture.md: one line for each file of the service, and none for a file that is not there."""

import re

from tests.support.markdown import ROOT, section

PACKAGE = ROOT / "auth_service"


def drawn() -> list[str]:
    """What the map names: folders by their headings, files by their lines, and folders of data files by theirs."""
    found: list[str] = []
    folder = ""
    for line in section("docs/architecture.md", "The map").splitlines():
        if heading := re.fullmatch(r"### `([\w/]+/)`: .{20,}", line):
            folder = heading[1]
            found.append(folder)
        elif line.startswith(("- ", "#")):
            entry = re.fullmatch(r"- `([\w.]+/?)`: .{15,}", line)
            assert entry, f"no name, or too little said of it: {line}"
            found.append(folder + entry[1])
    return found


def there() -> list[str]:
    """What it has to name. The empty files that make a folder a package are left out, and what lies among data."""
    folders = [PACKAGE, *(path for path in PACKAGE.rglob("*/") if path.name != "__pycache__")]
    packages = [folder for folder in folders if any(folder.glob("*.py"))]
    files = [file for folder in packages for file in folder.iterdir() if file.is_file()]
    told = [str(file.relative_to(ROOT)) for file in files if file.name != "__init__.py" or file.stat().st_size > 0]
    return told + [f"{folder.relative_to(ROOT)}/" for folder in folders]


def test_the_map_names_every_file_and_folder_once_and_nothing_else() -> None:
    assert len(there()) > 200
    assert sorted(drawn()) == sorted(there())


def test_every_line_of_the_map_fits_on_a_screen() -> None:
    assert [line for line in section("docs/architecture.md", "The map").splitlines() if len(line) > 120] == []
