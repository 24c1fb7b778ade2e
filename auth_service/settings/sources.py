"""Where settings come from: the environment, `.env` in the working folder, and files that hold one value each.

pydantic-settings reads the first two. Its sources for files take all white space off a secret, ignore a file that leads
out of the folder, fail in a traceback where one cannot be read, and know no `NAME_FILE`: so files are read here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from dotenv.parser import parse_stream
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

MAX_FILE_BYTES = 65_536


class SettingProblem(NamedTuple):
    """What is wrong with a setting. It holds no value, and no path of a `NAME_FILE`: that may be the secret itself."""

    name: str
    message: str
    did_you_mean: str | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" + (f"; did you mean {self.did_you_mean}?" if self.did_you_mean else "")


@dataclass
class Gathered:
    """All variables that are set, the values of settings, whether from a variable or a file, and what is wrong.

    `ignored` has the lines of `.env` that say nothing.
    """

    variables: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    problems: list[SettingProblem] = field(default_factory=list)
    ignored: list[SettingProblem] = field(default_factory=list)


def file_variable(name: str) -> str:
    """The variable that names the file of a setting."""
    return f"{name}_FILE"


def gather(settings: type[BaseSettings], names: Iterable[str], folder: Path) -> Gathered:
    """Read the settings with these names; their variables in the environment take precedence over those in `.env`."""
    found = Gathered()
    try:
        found.variables |= _variables_of(DotEnvSettingsSource(settings))
        found.ignored += _ignored_lines(Path(str(settings.model_config["env_file"])))
    except (OSError, UnicodeDecodeError) as error:
        found.problems.append(SettingProblem(".env", _unreadable(error)))
    found.variables |= _variables_of(EnvSettingsSource(settings))
    files: dict[str, Path] = {}
    try:
        files |= {file.name.upper(): file for file in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        found.problems.append(SettingProblem(str(folder), _unreadable(error)))
    for name in names:
        _add(found, name, files.get(name))
    return found


def _ignored_lines(file: Path) -> Iterator[SettingProblem]:
    """Name the lines that python-dotenv makes nothing of, such as those of YAML and of other shells."""
    if file.is_file():
        with file.open(encoding="utf-8-sig") as opened:
            for binding in parse_stream(opened):
                if binding.error:
                    told = "is not NAME=VALUE, or its quotes do not end: it says nothing"
                    yield SettingProblem(f"{file}, line {binding.original.line}", told)


def _variables_of(source: EnvSettingsSource) -> dict[str, str]:
    return {name.upper(): value for name, value in source.env_vars.items() if value}


def _add(found: Gathered, name: str, in_folder: Path | None) -> None:
    """Add the one value of a setting, if it has any; a second one is a problem, even if it is the same."""
    by_variable = found.variables.get(file_variable(name))
    ways = {
        name: found.variables.get(name),
        file_variable(name): by_variable and Path(by_variable),
        str(in_folder): in_folder,
    }
    used = [(way, value) for way, value in ways.items() if value]
    if len(used) > 1:
        both = " and by ".join(way for way, _ in used)
        found.problems.append(SettingProblem(name, f"is set by {both}; keep one of them"))
    elif used:
        ((way, value),) = used
        try:
            found.values[name] = _text_of(value) if isinstance(value, Path) else value
        except ValueError as error:
            found.problems.append(SettingProblem(name, f"the file {f'of {way}' if by_variable else way} {error}"))


def _text_of(file: Path) -> str:
    """Return what a file holds, without a line break at its end; raises ValueError, which says why it cannot be used.

    A pipe is refused: it may be waited for, and only the first of several processes could read it.
    """
    try:
        if not S_ISREG(file.stat().st_mode):
            raise ValueError("is not a regular file")
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(_unreadable(error)) from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES // 1024} KiB")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("is empty")
    return text


def _unreadable(error: OSError | UnicodeDecodeError) -> str:
    return f"cannot be read ({error.strerror})" if isinstance(error, OSError) else "is not UTF-8 text"
