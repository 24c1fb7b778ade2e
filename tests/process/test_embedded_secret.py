"""The embedded default needs no secret of the operator's: it makes one, once, and keeps it to itself."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from auth_service.embedded_secret import with_secret
from auth_service.settings import DatabaseSettings, Settings
from tests.conftest import FAST_HASHING
from tests.support.client import Client
from tests.support.server import Server, run_command

pytestmark = pytest.mark.usefixtures("cold_start")
ENVIRONMENT = {f"AUTH_PASSWORD__{name}".upper(): str(value) for name, value in FAST_HASHING.items()}


def client_of(server: Server) -> Client:
    return Client(base_url=server.base_url, trust_env=False, timeout=10)


async def test_four_workers_make_one_secret_that_outlives_a_restart(tmp_path: Path) -> None:
    with Server(ENVIRONMENT, tmp_path, workers=4) as first:
        first.wait_ready(60)
        async with client_of(first) as client:
            (await client.register("ada@example.com")).raise_for_status()
            tokens = await client.sign_in()
    secret = the_only_secret(tmp_path)
    with Server(ENVIRONMENT, tmp_path) as second:
        second.wait_ready(60)
        async with client_of(second) as client:
            assert (await client.me(tokens["access_token"])).status_code == 200
            assert (await client.refresh(tokens["refresh_token"])).status_code == 200
    assert the_only_secret(tmp_path) == secret


def the_only_secret(folder: Path) -> str:
    (file,) = folder.glob("*.secret*")
    assert file.name == "auth-service.db.secret"
    assert file.stat().st_mode & 0o777 == 0o600
    return file.read_text()


def test_many_starters_at_once_read_the_same_secret(tmp_path: Path) -> None:
    settings = Settings(
        database=DatabaseSettings(DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/auth.db", _env_file=None),
        _env_file=None,
    )
    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: with_secret(settings).secret_key[0].get_secret_value(), range(8)))
        assert len(set(made)) == 1
        (file,) = tmp_path.iterdir()
        assert len(made[0]) >= 32
        file.unlink()


@pytest.mark.parametrize("folder", ["/proc", "/nosuchfolder"], ids=["read-only", "missing"])
def test_a_folder_that_cannot_be_written_ends_in_one_clear_line(folder: str, tmp_path: Path) -> None:
    ended = run_command("serve", env={"DATABASE_URL": f"sqlite+aiosqlite:///{folder}/auth.db"}, cwd=tmp_path)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: DATABASE_URL: the folder of the SQLite file cannot be used")
    assert ended.stdout == ""


def test_a_database_in_memory_gets_a_secret_that_no_other_start_has() -> None:
    settings = Settings(database=DatabaseSettings(DATABASE_URL="sqlite+aiosqlite://", _env_file=None), _env_file=None)
    first, second = with_secret(settings).secret_key, with_secret(settings).secret_key
    assert first != second
    assert len(first[0].get_secret_value()) >= 32
