"""How the settings are read, and what is said of a wrong one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings.exceptions import SettingsError

from auth_service.settings.database import DatabaseSettings
from auth_service.settings.values import Group
from auth_service.settings.whole import Settings

SECRETS_FOLDER = Path("/run/secrets")


class WrongSettingError(Exception):
    """A setting cannot be used. The message is one line that names the variable and never holds its value."""


def read_settings() -> Settings:
    """Read every setting from the environment, `.env` in the working folder, and files in `/run/secrets`.

    Raises:
        WrongSettingError: a value cannot be used; the message is one line that names the variable.
    """
    folder = SECRETS_FOLDER if SECRETS_FOLDER.is_dir() else None
    try:
        database = DatabaseSettings(_secrets_dir=folder)
        return Settings(_secrets_dir=folder, database=database)
    except ValidationError as error:
        raise WrongSettingError(_one_line(error)) from None
    except SettingsError as error:
        group = str(error).partition('"')[2].partition('"')[0].upper()
        raise WrongSettingError(f"AUTH_{group}: is a group; set its fields, named AUTH_{group}__FIELD") from None


def _one_line(error: ValidationError) -> str:
    prefix = "DB_" if error.title == "DatabaseSettings" else "AUTH_"
    return "; ".join(sorted({_sentence(prefix, entry) for entry in error.errors(include_input=False)}))


def _sentence(prefix: str, entry: Any) -> str:
    message = str(entry["msg"]).removeprefix("Value error, ")
    if not entry["loc"]:  # our own cross-checks name the variable themselves
        return message
    names = [str(part) for part in entry["loc"] if isinstance(part, str)]
    name = names[0] if names[0].isupper() else prefix + "__".join(names).upper()
    return f"{name}: {message[:1].lower()}{message[1:]}"


def environment_names() -> Iterator[str]:
    """Every variable that the service reads, in the order of the groups."""
    for name, field in DatabaseSettings.model_fields.items():
        yield str(field.validation_alias or f"DB_{name.upper()}")
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if name == "database":
            continue
        if isinstance(group, type) and issubclass(group, Group):
            yield from (f"AUTH_{name}__{inner}".upper() for inner in group.model_fields)
        else:
            yield f"AUTH_{name}".upper()
