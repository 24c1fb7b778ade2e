"""Settings: a wrong value ends every command with one line; what is not set has the default of `.env.example`."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from auth_service.cli import main
from auth_service.settings import Settings, WrongSettingError, environment_names, read_settings
from tests.conftest import SECRET, make_settings
from tests.support.certificates import Authority
from tests.support.markdown import PAGES
from tests.support.server import run_command

EXAMPLE = Path(__file__).parents[2] / ".env.example"
POSTGRESQL = "postgresql://auth:hunter2hunter2@db/auth"

OLD_SECRET = "b2xkIHNlY3JldCBvZiB0aGUgdGVzdHM6IDMyIGJ5dGVzIG9yIG1vcmU"
WEAK_TOKENS = [
    "hunter2-5b1e0c9", "hunter2hunter2hunter2", "x" * 40, "ababababababababab", "hunter2-changeme-hunter2",
    "hunter2 5b1e0c9 d4", "hunter2-\u00e9-5b1e0c9d4f", "hunter2-\t-5b1e0c9d4f",
]  # fmt: skip

WRONG_ORIGINS = [
    "*", "null", "hunter2", "https://*.hunter2.example", "https://hunter2.example/", "https://hunter2.example/app",
    "https://hunter2.example:443", "https://Hunter2.example", "https://hunter2.example:99999",
    "https://hunter2@app.example", "https://app.example https://hunter2.example", "https://app.example,ftp://hunter2.example",
    "capacitor://hunter2/", "capacitor://", "Capacitor://hunter2", "capacitor://*", "hunter2://localhost:99999", "file:///hunter2",
    "wss://hunter2.example", "chrome-extension://hunter2@x", "https://hunter2.example\\", "https://☕hunter2.example",
    "file:", "https://[0:0:0:0:0:0:0:1]", "https://hunter2..example", "app:hunter2",
]  # fmt: skip

WRONG_URLS = [
    "https://[::1", "https://:8000", "https://hunter2@auth.example", "https://ada:hunter2@auth.example/v1",
    "https://:hunter2@auth.example", "https://hunter2℀.example", "https://auth.example\\hunter2", "https://auth.example/\\hunter2",
    "https:\\\\hunter2.example", "https://☕hunter2.example", "https://hunter2\x7f.example", "https://hunter2<>.example",
]  # fmt: skip
MAPPED_NETWORKS = [
    "::ffff:10.0.0.0/104", "10.0.0.0/8,::ffff:192.0.2.1", "::ffff:0:0/96", "::FFFF:a00:0/104", "::/64",
]  # fmt: skip

# The variable that the line must name, and the environment that is wrong.
WRONG: list[tuple[str, dict[str, str]]] = [
    ("DATABASE_URL", {"DATABASE_URL": "mysql://auth:hunter2hunter2@db/auth"}),
    ("DATABASE_URL", {"DATABASE_URL": "hunter2hunter2"}),
    ("DATABASE_URL", {"DATABASE_URL": "postgresql://auth:hunter2hunter2@[db/auth"}),
    ("DATABASE_URL", {"DATABASE_URL": "postgresql://auth:pw@db:hunter2hunter2/auth", "AUTH_SECRET_KEY": SECRET}),
    ("DATABASE_URL", {"DATABASE_URL": POSTGRESQL + "?sslmode=hunter2hunter2", "AUTH_SECRET_KEY": SECRET}),
    ("DATABASE_URL", {"DATABASE_URL": POSTGRESQL + "?target_session_attrs=hunter2", "AUTH_SECRET_KEY": SECRET}),
    ("DATABASE_URL", {"DATABASE_URL": POSTGRESQL + "?port=hunter2", "AUTH_SECRET_KEY": SECRET}),
    ("DATABASE_URL", {"DATABASE_URL": POSTGRESQL + "?host=a,b&port=5432,70000", "AUTH_SECRET_KEY": SECRET}),
    (
        "DATABASE_URL",
        {"DATABASE_URL": POSTGRESQL + "?sslmode=verify-full&sslrootcert=/hunter2", "AUTH_SECRET_KEY": SECRET},
    ),
    ("DATABASE_URL", {"DATABASE_URL": POSTGRESQL + "?sslcert=/etc", "AUTH_SECRET_KEY": SECRET}),
    ("DATABASE_READ_REPLICA_URL", {"DATABASE_READ_REPLICA_URL": "postgresql://auth:hunter2@db/auth"}),
    *[
        (
            "DATABASE_READ_REPLICA_URL",
            {"DATABASE_URL": POSTGRESQL, "DATABASE_READ_REPLICA_URL": url, "AUTH_SECRET_KEY": SECRET},
        )
        for url in ("sqlite:///hunter2.db", "hunter2", POSTGRESQL + "?sslmode=hunter2", "postgresql://a:hunter2/3@db/a")
    ],
    ("DB_READ_REPLICA_MAX_LAG", {"DB_READ_REPLICA_MAX_LAG": "-1"}),
    ("AUTH_SECRET_KEY", {"AUTH_SECRET_KEY": "hunter2-abcdefgh-QWXYZ-01345896"}),  # one byte too short
    ("AUTH_SECRET_KEY", {"AUTH_SECRET_KEY": "hunter2" * 10}),
    ("AUTH_SECRET_KEY", {"AUTH_SECRET_KEY": "please-ChangeMe-0123456789-abcdefghijklmno"}),
    ("AUTH_SECRET_KEY", {"AUTH_SECRET_KEY": f"{SECRET},hunter2hunter2"}),
    ("AUTH_SECRET_KEY", {"AUTH_SECRET_KEY": "hunter2-abcdefgh!" * 3}),
    ("AUTH_SECRET_KEY", {"AUTH_SECRET_KEY": "x" * 64}),
    *[("AUTH_INTERNAL_TOKEN", {"AUTH_INTERNAL_TOKEN": weak}) for weak in WEAK_TOKENS],
    ("AUTH_INTERNAL_TOKEN", {"AUTH_INTERNAL_TOKEN": SECRET, "AUTH_SECRET_KEY": SECRET}),
    ("AUTH_INTERNAL_TOKEN", {"AUTH_INTERNAL_TOKEN": f"{OLD_SECRET},hunter2"}),
    ("AUTH_INTERNAL_TOKEN", {"AUTH_INTERNAL_TOKEN": f"{OLD_SECRET},{SECRET}", "AUTH_SECRET_KEY": SECRET}),
    ("AUTH_INTERNAL_TOKEN", {"AUTH_INTERNAL_TOKEN": " , "}),
    ("AUTH_INTERNAL_TOKEN", {"AUTH_INTERNAL_TOKEN": OLD_SECRET, "AUTH_SECRET_KEY": f"{SECRET},{OLD_SECRET}"}),
    ("AUTH_TOKENS__ACCESS_LIFETIME", {"AUTH_TOKENS__ACCESS_LIFETIME": "hunter2hunter2"}),
    ("AUTH_TOKENS__ACCESS_LIFETIME", {"AUTH_TOKENS__ACCESS_LIFETIME": "601"}),
    ("AUTH_TOKENS__ACCESS_LIFETIME", {"AUTH_TOKENS__ACCESS_LIFETIME": "nan"}),
    ("AUTH_TOKENS__ACCESS_LIFETIME", {"AUTH_TOKENS__ACCESS_LIFETIME": "1e400"}),
    ("AUTH_TOKENS__REFRESH_GRACE", {"AUTH_TOKENS__REFRESH_GRACE": "61"}),
    ("AUTH_TOKENS__REFRESH_GRACE", {"AUTH_TOKENS__REFRESH_GRACE": "-1"}),
    ("AUTH_TOKENS__REFRESH_IDLE_LIFETIME", {"AUTH_TOKENS__REFRESH_IDLE_LIFETIME": "P31D"}),
    ("AUTH_TOKENS__CLIENT_ID", {"AUTH_TOKENS__CLIENT_ID": "h\u00fcnter2"}),
    ("AUTH_TOKENS__CLIENT_ID", {"AUTH_TOKENS__CLIENT_ID": "hunter2\tapp"}),
    ("AUTH_TOKENS__TYPO", {"AUTH_TOKENS__TYPO": "hunter2hunter2"}),
    ("AUTH_TOKENS", {"AUTH_TOKENS": "hunter2hunter2"}),
    ("AUTH_PASSWORD__MIN_LENGTH", {"AUTH_PASSWORD__MIN_LENGTH": "7"}),
    ("AUTH_PASSWORD__MIN_LENGTH", {"AUTH_PASSWORD__MIN_LENGTH": "14"}),
    ("AUTH_PASSWORD__MIN_LENGTH", {"AUTH_PASSWORD__MIN_LENGTH": "8", "AUTH_FACTORS__REQUIRED_ROLES": "admin"}),
    ("AUTH_FACTORS__REQUIRED_ROLES", {"AUTH_FACTORS__REQUIRED_ROLES": "admin,hunter2"}),
    ("AUTH_PASSWORD__FIREBASE_SIGNER_KEY", {"AUTH_PASSWORD__FIREBASE_SIGNER_KEY": "hunter2 is no base64"}),
    ("AUTH_PASSWORD__FIREBASE_SIGNER_KEY", {"AUTH_PASSWORD__FIREBASE_SIGNER_KEY": "aHVudGVyMg=="}),
    ("AUTH_PASSWORD__BLOCKLIST", {"AUTH_PASSWORD__BLOCKLIST": "/nowhere/hunter2hunter2"}),
    (
        "AUTH_REGISTRATION__EXISTING",
        {"AUTH_REGISTRATION__EXISTING": "conceal", "DATABASE_URL": POSTGRESQL, "AUTH_SECRET_KEY": SECRET},
    ),
    ("AUTH_MAIL__HOST", {"AUTH_MAIL__HOST": "mail hunter2", "AUTH_MAIL__SENDER": "a@example.com"}),
    ("AUTH_MAIL__PORT", {"AUTH_MAIL__PORT": "65536"}),
    ("AUTH_MAIL__SECURITY", {"AUTH_MAIL__SECURITY": "hunter2"}),
    ("AUTH_MAIL__SENDER", {"AUTH_MAIL__SENDER": "hunter2"}),
    ("AUTH_MAIL__SENDER", {"AUTH_MAIL__SENDER": "a@hunter2.example, b@hunter2.example"}),
    ("AUTH_MAIL__SENDER", {"AUTH_MAIL__SENDER": "a@hunter2.example\r\nBcc: b@hunter2.example"}),
    ("AUTH_MAIL", {"AUTH_MAIL__HOST": "mail.example"}),
    ("AUTH_MAIL", {"AUTH_MAIL__PASSWORD": "hunter2"}),
    ("AUTH_MAIL", {"AUTH_MAIL__USERNAME": "me", "AUTH_MAIL__PASSWORD": "hunter2", "AUTH_MAIL__SECURITY": "none"}),
    ("AUTH_MAIL__CA_FILE", {"AUTH_MAIL__CA_FILE": "/nowhere/hunter2"}),
    ("AUTH_MAIL__TEMPLATES", {"AUTH_MAIL__TEMPLATES": "/nowhere/hunter2"}),
    ("AUTH_APPLICATION__LOGO", {"AUTH_APPLICATION__LOGO": "/nowhere/hunter2"}),
    ("AUTH_APPLICATION__LOGO", {"AUTH_APPLICATION__LOGO": "/etc/passwd"}),
    ("AUTH_APPLICATION__NAME", {"AUTH_APPLICATION__NAME": "hunter2 " * 10}),
    ("AUTH_MAIL__TIMEOUT", {"AUTH_MAIL__TIMEOUT": "0"}),
    ("AUTH_MAIL__INTERVAL", {"AUTH_MAIL__INTERVAL": "PT6M"}),
    ("AUTH_MAIL__VERIFY_URL", {"AUTH_MAIL__VERIFY_URL": "javascript:hunter2"}),
    ("AUTH_MAIL__RESET_URL", {"AUTH_MAIL__RESET_URL": "https://hunter2.example/#page"}),
    ("AUTH_MAIL__EMAIL_CHANGE_URL", {"AUTH_MAIL__EMAIL_CHANGE_URL": "https://hunter2.example/a page"}),
    ("AUTH_REGISTRATION__EXISTING", {"AUTH_REGISTRATION__EXISTING": "hunter2hunter2"}),
    ("AUTH_REGISTRATION__UNVERIFIED_LIFETIME", {"AUTH_REGISTRATION__UNVERIFIED_LIFETIME": "PT23H"}),
    ("AUTH_PROXY__TRUSTED", {"AUTH_PROXY__TRUSTED": "10.0.0.0/8,hunter2hunter2"}),
    ("AUTH_PROXY__TRUSTED", {"AUTH_PROXY__TRUSTED": "*"}),
    ("AUTH_PROXY__TRUSTED", {"AUTH_PROXY__TRUSTED": "0.0.0.0/0"}),
    ("AUTH_PROXY__TRUSTED", {"AUTH_PROXY__TRUSTED": "10.0.0.0/8,::/0"}),
    *(("AUTH_CORS__ORIGINS", {"AUTH_CORS__ORIGINS": origins}) for origins in WRONG_ORIGINS),
    ("AUTH_COOKIES__ENABLED", {"AUTH_COOKIES__ENABLED": "hunter2hunter2"}),
    ("AUTH_COOKIES__ENABLED", {"AUTH_COOKIES__ENABLED": "true", "AUTH_PUBLIC_URL": "http://hunter2.example"}),
    ("AUTH_LOG__LEVEL", {"AUTH_LOG__LEVEL": "hunter2hunter2"}),
    ("AUTH_PUBLIC_URL", {"AUTH_PUBLIC_URL": "hunter2hunter2"}),
    ("AUTH_PUBLIC_URL", {"AUTH_PUBLIC_URL": "https://hunter2.example:99999"}),
    *(("AUTH_PUBLIC_URL", {"AUTH_PUBLIC_URL": url}) for url in WRONG_URLS),
    *(("AUTH_MAIL__VERIFY_URL", {"AUTH_MAIL__VERIFY_URL": url}) for url in WRONG_URLS[2:9]),
    ("AUTH_CORS__HEADERS", {"AUTH_CORS__HEADERS": "*"}),
    ("AUTH_CORS__HEADERS", {"AUTH_CORS__HEADERS": "baggage, hunter2 hunter2"}),
    ("AUTH_CORS__HEADERS", {"AUTH_CORS__HEADERS": "hunter2:"}),
    ("AUTH_PASSKEYS__RP_ID", {"AUTH_PASSKEYS__RP_ID": "☕hunter2.example"}),
    *(("AUTH_PROXY__TRUSTED", {"AUTH_PROXY__TRUSTED": network}) for network in MAPPED_NETWORKS),
    ("DB_POOL_SIZE", {"DB_POOL_SIZE": "hunter2hunter2"}),
    ("DB_POOL_SIZE", {"DB_POOL_SIZE": "0"}),
    ("DB_PGBOUNCER", {"DB_PGBOUNCER": "hunter2hunter2"}),
    ("DB_STATEMENT_TIMEOUT", {"DB_STATEMENT_TIMEOUT": "0"}),
]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(command: str, env: Mapping[str, str]) -> Result:
    return CliRunner().invoke(main, [command], env=env)


@pytest.mark.parametrize(("name", "env"), WRONG, ids=[f"{name}-{n}" for n, (name, _) in enumerate(WRONG)])
def test_a_wrong_value_ends_with_code_2_and_one_line_that_names_it_and_never_holds_it(
    name: str, env: dict[str, str]
) -> None:
    ended = run("openapi", env)
    assert ended.exit_code == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"Error: {name}: ")
    assert not any(word in line for word in ("pattern", "^", "\\", "timedelta")), "it is for people"
    assert "hunter2" not in ended.output
    assert SECRET not in ended.output
    assert ended.stdout == ""


@pytest.mark.parametrize("words", ["serve --port 0", "keys list"])
@pytest.mark.parametrize("secret", [{}, {"AUTH_SECRET_KEY": ""}], ids=["none", "empty"])
def test_what_needs_a_secret_key_with_postgresql_ends_with_2_without_one(
    words: str, secret: dict[str, str], tmp_path: Path
) -> None:
    ended = run_command(*words.split(), env={"DATABASE_URL": POSTGRESQL, **secret}, cwd=tmp_path, timeout=20)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: AUTH_SECRET_KEY: must be set with PostgreSQL")


def test_no_secret_that_stands_in_our_pages_can_be_started_with() -> None:
    text = "\n".join(page.read_text("utf-8") for page in [*PAGES, EXAMPLE])
    samples = re.findall(r"(AUTH_SECRET_KEY|AUTH_INTERNAL_TOKEN)=(?!%s)([^\s`]+(?: [^\s`]+)*\))?([^\s`]*)", text)
    found = {(name, command + value) for name, command, value in samples if command + value}
    assert len(found) > 1
    for name, sample in found:
        for longer in (sample, f"{sample}-{sample.swapcase()}-0123456789"):
            assert run("openapi", {name: longer}).exit_code == 2, sample


def test_the_options_of_a_database_url_that_the_driver_knows_are_taken(tmp_path: Path) -> None:
    options = (
        f"sslmode=verify-full&sslrootcert={Authority(tmp_path).file}&target_session_attrs=read-write&port=5432,5433"
    )
    assert (
        run("openapi", {"DATABASE_URL": f"{POSTGRESQL}?host=a,b&{options}", "AUTH_SECRET_KEY": SECRET}).exit_code == 0
    )


@pytest.mark.parametrize("command", ["serve", "migrate", "cleanup"])
def test_every_command_refuses_a_wrong_value_before_it_does_anything(command: str, tmp_path: Path) -> None:
    ended = run_command(command, env={"AUTH_TOKENS__REFRESH_GRACE": "61"}, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == ["Error: AUTH_TOKENS__REFRESH_GRACE: must be at most 1 minute"]
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_every_wrong_value_is_named_at_once() -> None:
    ended = run("openapi", {"AUTH_LOG__LEVEL": "loud", "AUTH_PASSWORD__MIN_LENGTH": "7"})
    (line,) = ended.stderr.splitlines()
    assert "AUTH_LOG__LEVEL" in line
    assert "AUTH_PASSWORD__MIN_LENGTH" in line


def test_a_shorter_password_is_let_through_only_where_everybody_has_a_second_factor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NIST SP 800-63B-4, section 3.1.1.2."""
    monkeypatch.setenv("AUTH_PASSWORD__MIN_LENGTH", "8")
    for roles in ("", "admin", "user"):
        monkeypatch.setenv("AUTH_FACTORS__REQUIRED_ROLES", roles)
        with pytest.raises(WrongSettingError) as refused:
            read_settings()
        assert str(refused.value) == (
            "AUTH_PASSWORD__MIN_LENGTH: below 15 only where everybody must have a second factor (NIST SP 800-63B-4): "
            "AUTH_FACTORS__REQUIRED_ROLES=user,admin"
        )
    monkeypatch.setenv("AUTH_FACTORS__REQUIRED_ROLES", "admin, user")
    assert read_settings().password.min_length == 8


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("0.5", 0.5), ("PT30S", 30), ("PT0.5S", 0.5), ("PT1M", 60), ("0", 0)]
)
def test_a_duration_is_seconds_or_iso_8601(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_TOKENS__REFRESH_GRACE", text)
    assert read_settings().tokens.refresh_grace.total_seconds() == seconds


def test_origins_are_listed_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_CORS__ORIGINS", "https://app.example.com, http://localhost:3000,https://[::1]:8443")
    monkeypatch.setenv("AUTH_PUBLIC_URL", "https://ID.example.com:443/v1/")
    settings = read_settings()
    assert settings.cors.origins == ("https://app.example.com", "http://localhost:3000", "https://[::1]:8443")
    assert settings.trusted_origins == {*settings.cors.origins, "https://id.example.com"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443/v1/", "https://xn--bcher-kva.example:8443/v1/"),
        ("https://faß.example", "https://xn--fa-hia.example"),  # as browsers do, and not fass.example
        ("https://例え。テスト/a", "https://xn--r8jz45g.xn--zckzah/a"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://auth.example.com/", "https://auth.example.com/"),
    ],
)
def test_a_host_in_unicode_is_its_punycode_wherever_it_is_compared_or_told(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    monkeypatch.setenv("AUTH_PUBLIC_URL", url)
    monkeypatch.setenv("AUTH_PASSKEYS__RP_ID", urlsplit(url).hostname or "")
    monkeypatch.setenv("AUTH_MAIL__VERIFY_URL", url + "?a=b")
    settings = read_settings()
    origin = "/".join(expected.lower().split("/")[:3])
    assert settings.base_url == expected.rstrip("/")
    assert settings.trusted_origins == set(settings.passkey_origins) == {origin}
    assert settings.passkeys.rp_id == urlsplit(expected).hostname
    assert settings.mail.verify_url == expected + "?a=b"
    assert settings.page_url("verify-email").startswith(expected.rstrip("/"))
    monkeypatch.setenv("AUTH_PASSKEYS__ORIGINS", f"https://{urlsplit(url).hostname}")
    assert read_settings().passkeys.origins == (f"https://{urlsplit(expected).hostname}",)


def test_a_duration_may_be_in_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_TOKENS__REFRESH_IDLE_LIFETIME", "P2DT3H")
    assert read_settings().tokens.refresh_idle_lifetime.total_seconds() == 51 * 3600


def test_the_env_file_in_the_working_folder_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "DB_POOL_SIZE=3\nDB_MAX_OVERFLOW=4\nAUTH_TOKENS__LEEWAY=6\nAUTH_TOKENS__REFRESH_GRACE=7\n"
    )
    monkeypatch.setenv("DB_MAX_OVERFLOW", "1")
    monkeypatch.setenv("AUTH_TOKENS__LEEWAY", "2")
    settings = read_settings()
    assert (settings.database.pool_size, settings.database.max_overflow) == (3, 1)
    assert settings.tokens.leeway.total_seconds() == 2
    assert settings.tokens.refresh_grace.total_seconds() == 7


def test_the_example_names_every_variable_and_no_other() -> None:
    named = [line.partition("=")[0] for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#"]
    assert named == list(environment_names())


def test_the_example_holds_the_defaults(tmp_path: Path) -> None:
    defaults = read_settings()
    (tmp_path / ".env").write_text(EXAMPLE.read_text())
    example = read_settings()
    assert example == defaults
    assert example.database == defaults.database
    unset = {name for name, value in vars(example.database).items() if value is not None}
    unset -= example.database.model_fields_set
    assert unset == set(), "every default of the database stands in the example"


def test_a_value_of_the_example_reaches_its_setting(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("AUTH_TOKENS__REFRESH_GRACE=30", "AUTH_TOKENS__REFRESH_GRACE=31")
    (tmp_path / ".env").write_text(text)
    assert read_settings().tokens.refresh_grace.total_seconds() == 31


def test_service_links_of_kubernetes_do_not_disturb(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AUTH_PORT": "tcp://10.0.0.1:8000",
        "AUTH_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "AUTH_PORT_8000_TCP_ADDR": "10.0.0.1",
        "AUTH_SERVICE_HOST": "10.0.0.1",
        "AUTH_SERVICE_PORT": "8000",
        "DB_PORT": "tcp://10.0.0.2:5432",
        "DB_SERVICE_HOST": "10.0.0.2",
        "DATABASE_PORT": "tcp://10.0.0.2:5432",
    }.items():
        monkeypatch.setenv(name, value)
    assert read_settings() == Settings(_env_file=None)


def test_no_secret_shows_in_the_error_of_settings_that_are_made_by_hand() -> None:
    with pytest.raises(ValidationError) as refused:
        make_settings(POSTGRESQL, secret_key="hunter2hunter2")
    assert "hunter2" not in str(refused.value)


def test_no_secret_shows_when_settings_are_printed() -> None:
    settings = make_settings(POSTGRESQL)
    for shown in (repr(settings), str(settings), repr(settings.database), settings.model_dump_json()):
        assert SECRET not in shown
        assert "hunter2" not in shown
