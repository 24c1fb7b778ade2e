"""Every setting can be a file: by its name in a folder of secrets, or by `NAME_FILE`."""

import os
from pathlib import Path

import pytest

from auth_service.settings import DatabaseSettings, Settings, WrongSettingError, environment_names, read_settings
from tests.conftest import SECRET
from tests.support.server import run_command

SIGNER_KEY = "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnRlcjI="
TOKEN = "hunter2-7e1b0c9-d4f6a8"
SECRETS = {
    "DATABASE_URL": "postgresql://auth:hunter2hunter2@db/auth",
    "DATABASE_READ_REPLICA_URL": "postgresql://auth:hunter2hunter2@replica/auth",
    "AUTH_SECRET_KEY": SECRET,
    "AUTH_INTERNAL_TOKEN": TOKEN,
    "AUTH_PASSWORD__FIREBASE_SIGNER_KEY": SIGNER_KEY,
    "AUTH_PASSWORD__IMPORTED_PEPPER": "hunter2 of another system",
    "AUTH_MAIL__PASSWORD": " hunter2 with spaces ",
}
BESIDE = {"AUTH_MAIL__USERNAME": "me"}  # a mail password needs it


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """In the place of /run/secrets."""
    path = tmp_path / "secrets"
    path.mkdir()
    return path


def found(settings: Settings) -> dict[str, str | None]:
    """The secrets of the settings by the names of their variables."""
    secrets = {
        "DATABASE_URL": settings.database.url,
        "DATABASE_READ_REPLICA_URL": settings.database.read_replica_url,
        "AUTH_SECRET_KEY": settings.secret_key[0],
        "AUTH_INTERNAL_TOKEN": settings.internal_token[0],
        "AUTH_PASSWORD__FIREBASE_SIGNER_KEY": settings.password.firebase_signer_key,
        "AUTH_PASSWORD__IMPORTED_PEPPER": settings.password.imported_pepper,
        "AUTH_MAIL__PASSWORD": settings.mail.password,
    }
    return {name: secret.get_secret_value() if secret else None for name, secret in secrets.items()}


def refusal(folder: Path) -> str:
    with pytest.raises(WrongSettingError) as refused:
        read_settings(folder)
    assert "hunter2" not in str(refused.value)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def test_no_secret_is_missing_below() -> None:
    fields = list(DatabaseSettings.model_fields.values())
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        fields += [] if name == "database" else inner.values() if inner else [field]
    named = dict(zip(environment_names(), fields, strict=True))
    assert {name for name, field in named.items() if "SecretStr" in str(field.annotation)} == set(SECRETS)


@pytest.mark.parametrize("spelling", [str.upper, str.lower])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_secret_is_read_from_the_folder_without_a_line_break_at_its_end(
    spelling: object, end: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        (folder / (name.lower() if spelling is str.lower else name)).write_bytes((value + end).encode())
    monkeypatch.setenv("AUTH_MAIL__USERNAME", "me")
    assert found(read_settings(folder)) == SECRETS


def test_every_secret_is_read_from_the_file_that_its_variable_names(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (SECRETS | BESIDE).items():
        (tmp_path / f"my-{name}").write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / f"my-{name}"))
    assert found(read_settings(folder)) == SECRETS


def test_only_one_line_break_is_left_out(folder: Path) -> None:
    (folder / "AUTH_PASSWORD__IMPORTED_PEPPER").write_text("two\n\n")
    pepper = read_settings(folder).password.imported_pepper
    assert pepper is not None
    assert pepper.get_secret_value() == "two\n"


def test_a_file_of_the_env_file_is_read(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "key").write_text(SECRET)
    (tmp_path / ".env").write_text("AUTH_SECRET_KEY=\nAUTH_SECRET_KEY_FILE=key\n")
    assert read_settings(folder).secret_key[0].get_secret_value() == SECRET


def test_links_of_a_mounted_volume_are_followed(tmp_path: Path, folder: Path) -> None:
    """As Kubernetes lays them out."""
    (folder / "..2026").mkdir()
    (folder / "..2026" / "AUTH_SECRET_KEY").write_text(SECRET)
    (folder / "..data").symlink_to("..2026")
    (folder / "AUTH_SECRET_KEY").symlink_to("..data/AUTH_SECRET_KEY")
    (folder / "of-others").write_bytes(b"\xff")
    assert read_settings(folder).secret_key[0].get_secret_value() == SECRET


@pytest.mark.parametrize("name", SECRETS)
def test_a_file_and_a_value_are_refused_in_one_line_that_names_both(
    name: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRETS[name])
    (folder / name).write_text(SECRETS[name])
    assert f"{name}: is set by {name} and by {folder / name}" in refusal(folder)
    (tmp_path / "hunter2").write_text(SECRETS[name])
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "hunter2"))
    assert f"{name}: is set by {name} and by {name}_FILE and by {folder / name}" in refusal(folder)
    monkeypatch.delenv(name)
    assert f"{name}: is set by {name}_FILE and by {folder / name}" in refusal(folder)


def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"hunter2\xff")
    (tmp_path / "large").write_text("hunter2" * 10_000)
    for file, reason in {
        "missing-hunter2": "cannot be read (No such file or directory)",
        "pipe": "is not a regular file",
        ".": "is not a regular file",
        "empty": "is empty",
        "binary": "is not UTF-8 text",
        "large": "is larger than 64 KiB",
    }.items():
        monkeypatch.setenv("AUTH_INTERNAL_TOKEN_FILE", str(tmp_path / file))
        assert refusal(folder) == f"AUTH_INTERNAL_TOKEN: the file of AUTH_INTERNAL_TOKEN_FILE {reason}"
    monkeypatch.delenv("AUTH_INTERNAL_TOKEN_FILE")
    (folder / "AUTH_INTERNAL_TOKEN").symlink_to("nowhere")
    assert refusal(folder) == (
        f"AUTH_INTERNAL_TOKEN: the file {folder}/AUTH_INTERNAL_TOKEN cannot be read (No such file or directory)"
    )


def test_an_env_file_that_is_no_text_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / ".env").write_bytes(b"AUTH_SECRET_KEY=hunter2\xff")
    assert refusal(folder) == ".env: is not UTF-8 text"


@pytest.mark.parametrize("command", ["serve", "migrate", "cleanup", "doctor"])
def test_no_command_starts_without_the_file_that_a_variable_names(command: str, tmp_path: Path) -> None:
    ended = run_command(command, env={"AUTH_SECRET_KEY_FILE": "hunter2"}, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line == (
        "Error: AUTH_SECRET_KEY: the file of AUTH_SECRET_KEY_FILE cannot be read (No such file or directory)"
    )
    assert list(tmp_path.iterdir()) == []
