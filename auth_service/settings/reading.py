"""How the settings are read, and what is said of wrong ones."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource

from auth_service.settings.database import DatabaseSettings
from auth_service.settings.names import environment_names, group_names, unknown_names, unknown_settings
from auth_service.settings.sources import SettingProblem, gather
from auth_service.settings.whole import Settings

SECRETS_FOLDER = Path("/run/secrets")
# What pydantic says of these is for programmers; the rest of what it says, in fewer words.
SAID = {
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "time_delta_parsing": "must be a number of seconds, or a duration by ISO 8601 such as PT5M",
}
WORDS = {
    "Input should ": "must ",
    "String should ": "must ",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
    "100000 microseconds": "0.1 seconds",
    "1000 microseconds": "0.001 seconds",
}


class WrongSettingError(Exception):
    """A setting cannot be used. The message is one line that names the variable and never holds its value."""


class Examined(NamedTuple):
    """The settings if they can be used; what stops every command; and what nothing reads, which stops none."""

    settings: Settings | None
    wrong: list[SettingProblem]
    ignored: list[SettingProblem]


def read_settings(folder: Path = SECRETS_FOLDER) -> Settings:
    """Read every setting from the environment, `.env` in the working folder, and files.

    Raises:
        WrongSettingError: a value cannot be used; the message is one line that names the variable.
    """
    found = examine_settings(folder)
    if found.settings is None or found.wrong:
        raise WrongSettingError("; ".join(sorted(map(str, found.wrong))))
    return found.settings


def examine_settings(folder: Path = SECRETS_FOLDER) -> Examined:
    """Read every setting as `read_settings()` does, and find all that is wrong.

    What is wrong is left out, and the rest is looked at again: settings are compared only once each is right by itself.
    """
    gathered = gather(Settings, environment_names(), folder)
    unknown = list(unknown_names(gathered.variables))
    in_groups = [problem for problem in unknown if problem.name.partition("__")[0] in group_names()]
    wrong = [*gathered.problems, *in_groups]
    left_out = {problem.name for problem in wrong}
    values, settings = gathered.values, None
    while settings is None:
        try:
            settings = _build(values)
        except ValidationError as error:
            found = _problems(error, values)
            # What does not agree with a default may agree with the value that was left out.
            wrong += [problem for problem in found if not left_out.intersection(re.findall(r"\w+", str(problem)))]
            left_out |= {name for name in values if _concerns(found, name)}
            remaining = {name: value for name, value in values.items() if name not in left_out}
            if remaining == values:
                break
            values = remaining
    ignored = [*gathered.ignored, *(problem for problem in unknown if problem not in in_groups)]
    return Examined(settings, wrong, ignored)


def settings_from(values: Mapping[str, str]) -> Settings:
    """Return the settings that these variables make, and nothing else: neither environment nor file is read.

    Raises:
        WrongSettingError: as above.
    """
    wrong = list(unknown_settings(values))
    unknown = {problem.name for problem in wrong}
    try:
        settings = _build({name: value for name, value in values.items() if name not in unknown})
    except ValidationError as error:
        wrong += _problems(error, values)
    if wrong:
        raise WrongSettingError("; ".join(sorted(map(str, wrong))))
    return settings


def _build(values: Mapping[str, str]) -> Settings:
    database = DatabaseSettings(_build_sources=((_source(DatabaseSettings, values),), {}))
    given = {"database": database}
    return Settings(_build_sources=((InitSettingsSource(Settings, given), _source(Settings, values)), given))


def _source(settings: type[BaseSettings], values: Mapping[str, str]) -> EnvSettingsSource:
    """The values, each as if it had come from a variable."""
    source = EnvSettingsSource(settings)
    source.env_vars = {name.lower(): value for name, value in values.items()}
    return source


def _problems(error: ValidationError, values: Mapping[str, str]) -> list[SettingProblem]:
    prefix = "DB_" if error.title == "DatabaseSettings" else "AUTH_"
    lines = [line for entry in error.errors(include_input=False) for line in _sentences(prefix, entry)]
    return [_with_quotes(SettingProblem(*line.split(": ", 1)), values) for line in dict.fromkeys(lines)]


def _sentences(prefix: str, entry: Any) -> list[str]:
    """One or, where settings do not agree, several sentences, each with its variable in front."""
    message = SAID.get(entry["type"]) or str(entry["msg"])
    for theirs, ours in WORDS.items():
        message = message.replace(theirs, ours)
    messages = message.removeprefix("Value error, ").splitlines()
    if not entry["loc"]:  # our own cross-checks name the variable themselves
        return messages
    names = [str(part) for part in entry["loc"] if isinstance(part, str)]
    name = names[0] if names[0].isupper() else prefix + "__".join(names).upper()
    return [f"{name}: {message[:1].lower()}{message[1:]}" for message in messages]


def _with_quotes(problem: SettingProblem, values: Mapping[str, str]) -> SettingProblem:
    """`.env` and systemd take quotes off; `docker --env-file`, a secret's file and a manifest do not."""
    value = values.get(problem.name, "")
    if value[:1] in {"'", '"'} and value.endswith(value[:1]):
        return problem._replace(message=f"{problem.message}; the quotes around the value are taken as a part of it")
    return problem


def _concerns(problems: list[SettingProblem], name: str) -> bool:
    return any(name == problem.name or name.startswith(f"{problem.name}__") for problem in problems)
