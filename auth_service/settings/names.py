"""The names of all settings, and what is said of a name that is none of them."""

from collections.abc import Iterator, Mapping, Sequence

from auth_service.settings.database import DatabaseSettings
from auth_service.settings.sources import SettingProblem, file_variable
from auth_service.settings.values import Group
from auth_service.settings.whole import Settings

# What others call it, and it is an option of a command of ours and no setting.
OPTIONS = {f"AUTH_{name}": f"serve --{name.lower()}" for name in ("HOST", "PORT", "WORKERS")}
_OF_REPLICA = {"READ", "READER", "READONLY", "REPLICA", "STANDBY", "FOLLOWER"}


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
        elif name in names or name.startswith(links):
            continue
        elif name.startswith(("AUTH_", "DB_")):
            yield SettingProblem(name, "is no setting", OPTIONS.get(name) or _closest(name, names))
        elif name.startswith("DATABASE") and (meant := _meant_url(name)):
            yield SettingProblem(name, "is no setting", meant)


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


def _closest(name: str, names: Sequence[str], least: float = 0.6) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415  # only where something is wrong

    return next(iter(get_close_matches(name, names, 1, least)), None)


def _meant_url(name: str) -> str | None:
    """Which URL of ours is meant, if any: DATABASE_HOST and the like are of platforms and other programs."""
    stem = name.removesuffix("_FILE")
    words = set(stem.split("_"))
    if words & _OF_REPLICA and words & {"URL", "URI", "DSN"}:
        found: str | None = "DATABASE_READ_REPLICA_URL"
    else:
        found = _closest(stem, ["DATABASE_URL"], 0.9)
    return file_variable(found) if found and stem != name else found
