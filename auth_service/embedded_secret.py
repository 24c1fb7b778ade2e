"""The secret key of the embedded default: made on the first start and kept beside the SQLite file."""

import os
import secrets
import tempfile
from pathlib import Path

from pydantic import SecretStr

from auth_service.settings import DatabaseSettings, Settings, WrongSettingError


def with_secret(settings: Settings) -> Settings:
    """Return settings that have a secret key: the operator's, or the embedded one (lost with a database in memory).

    Raises:
        WrongSettingError: there is none for PostgreSQL, or the folder of the SQLite file cannot be written.
    """
    if settings.secret_key:
        return settings
    if settings.database.is_postgresql:
        raise WrongSettingError(
            "AUTH_SECRET_KEY: must be set with PostgreSQL (make one with 'openssl rand -base64 48')"
        )
    check_folder(settings.database)
    file = settings.database.sqlite_file
    try:
        secret = _read_or_make(file.with_name(file.name + ".secret")) if file else secrets.token_urlsafe(48)
    except OSError as error:
        raise _unusable_folder(str(error.strerror)) from None
    return settings.model_copy(update={"secret_key": (SecretStr(secret),)})


def check_folder(database: DatabaseSettings) -> None:
    """Look whether the SQLite file, if it is one, and what stands beside it can be there; makes nothing.

    Raises:
        WrongSettingError: they cannot.
    """
    file = database.sqlite_file
    if file is None:
        return
    if not file.parent.is_dir():
        raise _unusable_folder("it is not there")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise _unusable_folder("this user may not write there")
    if file.exists() and not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        raise WrongSettingError(
            "DATABASE_URL: must name an SQLite file that this user can read and write, and no folder"
        )


def _unusable_folder(reason: str) -> WrongSettingError:
    told = f"the folder of the SQLite file cannot be used ({reason})"
    return WrongSettingError(f"DATABASE_URL: {told}; name another file or a PostgreSQL server")


def _read_or_make(path: Path) -> str:
    """Several workers may start at once: the first link wins, and everyone reads what it holds."""
    if not path.exists():
        # Not named by the process id: in containers that share a volume it is always 1. Mode 0600 from the start.
        descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        draft = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
