"""The names of all settings, and what is said of a name that is none of them."""

from collections.abc import Iterator, Mapping, Sequence

from auth_service.settings.database import DatabaseSettings
from auth_service.settings.sources import SettingProblem, file_variable
from auth_service.settings.values import Group
from auth_service.settings.whole import Settings


def environment_names() -> Iterator[str]:
    """Every variable that the service reads, in the order of the groups; each may also be a file."""
    for name, field in DatabaseSettings.model_fields.items():
        yield str(field.validation_alias or f"DB_{name.upper()}")
    groups = group_names()
    for variable in (f"AUTH_{name.upper()}" for name in Settings.model_fields if name != "database"):
        if variable in groups:
            yield from (f"{variable}__{name.upper()}" for name in groups[variable].model_fields)
        else:
            yield variable


def group_names() -> dict[str, type[Group]]:
    """What the names of a group's fields begin with, before the two underscores."""
    fields = {f"AUTH_{name.upper()}": field.annotation for name, field in Settings.model_fields.items()}
    return {name: group for name, group in fields.items() if isinstance(group, type) and issubclass(group, Group)}


def unknown_names(variables: Mapping[str, str]) -> Iterator[SettingProblem]:
    """Name every `AUTH_*` and `DB_*` that nothing reads, but for the variables that Kubernetes sets for a Service."""
    services = [name.removesuffix("_SERVICE_HOST") for name in variables if name.endswith("_SERVICE_HOST")]
    links = tuple(f"{service}_{word}" for service in services for word in ("PORT", "SERVICE_"))
    names = [known for name in environment_names() for known in (name, file_variable(name))]
    groups = group_names()
    for name in sorted(variables):
        if name in groups:
            yield _group(name)
        elif name.startswith(("AUTH_", "DB_")) and name not in names and not name.startswith(links):
            yield SettingProblem(name, "is no setting", _closest(name, names))


def unknown_settings(values: Mapping[str, str]) -> Iterator[SettingProblem]:
    """Name everything that is no setting, where nothing else is meant: files are not read, nor is Kubernetes there."""
    names, groups = list(environment_names()), group_names()
    for name in sorted(values):
        if name.upper() in groups:
            yield _group(name)
        elif name.upper() not in names:
            yield SettingProblem(name, "is no setting", _closest(name.upper(), names))


def _group(name: str) -> SettingProblem:
    return SettingProblem(name, f"is a group; set its fields, named {name}__FIELD")


def _closest(name: str, names: Sequence[str]) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415  # only where something is wrong

    return next(iter(get_close_matches(name, names, 1)), None)
