"""Who is compared: this service, the bare floor, and the peers; how each is started and spoken to."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.exchanges import VALUE, Exchange, get, post
from bench.floors import rotation
from bench.installed import PEERS as FOLDERS
from bench.installed import node_folder, python_of, runtime_python
from bench.passkey_accounts import ORIGIN, RP_ID
from tests.support.client import PASSWORD
from tests.support.postgres import Cluster

ROOT = Path(__file__).parents[1]
BEFORE = "the other checkout"
OURS, FLOOR, FASTAPI_USERS, SIMPLEJWT, BETTER_AUTH = (
    "this service", "bare floor", "fastapi-users", "Django simplejwt", "better-auth",
)  # fmt: skip
USERS = [f"user{number}@example.com" for number in range(40)]
SECRET = "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl"
_INTERNAL = "internal-token-of-the-benchmarks"
_POOL = {"POOL_SIZE": "10", "POOL_OVERFLOW": "5"}
_ARGON2 = {"ARGON2_MEMORY_KIB": "19456", "ARGON2_TIME_COST": "2", "ARGON2_PARALLELISM": "1"}
_UVICORN = ("--no-access-log", "--loop", "uvloop", "--http", "httptools", "--timeout-keep-alive", "15")
Command = list[str]


@dataclass(frozen=True)
class Contestant:
    """A server: `prepare` are commands to run once before it, `command` takes the port and the number of workers.

    `first` is the path that is asked until there is an answer, be it a refusal. `operations` take a user
    for "login", and for the others a token: one that a login gave, or one of `tokens`.
    """

    name: str
    database: str
    folder: Path
    env: dict[str, str]
    command: Callable[[int, int], Command]
    first: str
    operations: dict[str, Exchange]
    register: Exchange | None = None
    prepare: tuple[Command, ...] = ()
    seed: str = ""
    tokens: dict[str, list[str]] = field(default_factory=dict)


def environment(env: dict[str, str]) -> dict[str, str]:
    """What a server gets: its own settings, and of ours only what it needs to run."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | env


def ours(cluster: Cluster) -> Contestant:
    fields = {"email": VALUE, "password": PASSWORD}
    tokens = r'"access_token":"(?P<access>[^"]+)".*"refresh_token":"(?P<refresh>[^"]+)"'
    bearer = f"Authorization: Bearer {VALUE}"
    return Contestant(
        name=OURS,
        database="ours",
        folder=ROOT,
        # As it comes, but for what 40 sessions on a busy machine would run into: the limits of refreshes for each
        # session (with a grace, 60 of them in it rotate) and of sign-ins for each account, and deadlines that the
        # others do not have.
        env={
            "DATABASE_URL": cluster.url("ours"),
            "AUTH_SECRET_KEY": SECRET,
            "AUTH_INTERNAL_TOKEN": _INTERNAL,
            "AUTH_THROTTLE__REFRESHES": "1000000",
            "AUTH_TOKENS__REFRESH_GRACE": "0",
            "AUTH_THROTTLE__LOGINS": "1000000",
            "AUTH_HASHING__DEADLINE": "30",
            "DB_POOL_TIMEOUT": "2",
            "DB_STATEMENT_TIMEOUT": "10",
        },
        prepare=([sys.executable, "-m", "auth_service", "migrate"],),
        command=lambda port, workers: [
            sys.executable, "-m", "auth_service", "serve", "--port", str(port), "--workers", str(workers),
        ],
        first="/auth/me",
        register=post("/auth/register", fields),
        operations={
            "login": post("/auth/login", fields, pick=tokens),
            "refresh": post("/auth/refresh", {"refresh_token": VALUE}, pick=tokens, chain="refresh"),
            "me": get("/auth/me", bearer),
            "verify": get("/internal/verify", bearer, f"X-Internal-Token: {_INTERNAL}"),
        },
    )  # fmt: skip


def other(cluster: Cluster, folder: Path) -> Contestant:
    """This service as another checkout has it, on a database of its own, without the settings that it does not know."""
    here, python = ours(cluster), str(folder.absolute() / ".venv" / "bin" / "python")
    known = (folder / ".env.example").read_text(encoding="utf-8")
    env = here.env | {"DATABASE_URL": cluster.url("before")}
    return replace(
        here,
        name=BEFORE,
        database="before",
        folder=folder,
        env={name: value for name, value in env.items() if name in known},
        prepare=([python, "-m", "auth_service", "migrate"],),
        command=lambda *how: [python, *here.command(*how)[1:]],
    )


def deployed(contestant: Contestant, checkout: Path = ROOT) -> Contestant:
    """For starts and idle memory: this service with the packages of its lock alone, as the image and the peers have it.

    Libraries look for what else is installed: structlog imports rich, which is of the development.
    """
    if contestant.name not in {OURS, BEFORE}:
        return contestant
    python = str(runtime_python(checkout))
    return replace(contestant, command=lambda *how: [python, *contestant.command(*how)[1:]])


def with_passkeys(contestant: Contestant) -> Contestant:
    env = contestant.env | {"AUTH_PASSKEYS__RP_ID": RP_ID, "AUTH_PASSKEYS__ORIGINS": ORIGIN}
    operations = contestant.operations | {"options": post("/auth/passkeys/options", {})}
    return replace(contestant, env=env, operations=operations)


def floor(cluster: Cluster) -> Contestant:
    """Its hello stands beside our verification, and gets a request of the same size."""
    pick = r'"refresh_token":"(?P<refresh>[^"]+)"'
    return Contestant(
        name=FLOOR,
        database="floor",
        folder=ROOT,
        env={"DATABASE_URL": cluster.url("floor"), "AUTH_SECRET_KEY": SECRET, **_POOL},
        prepare=([sys.executable, "-m", "auth_service", "migrate"],),
        seed=rotation.SEED,
        command=_uvicorn(sys.executable, "bench.floors.web:app"),
        first="/hello",
        operations={
            "refresh": post("/refresh", {"refresh_token": VALUE}, pick=pick, chain="refresh"),
            "verify": get("/hello", f"Authorization: Bearer {VALUE}", f"X-Internal-Token: {_INTERNAL}"),
        },
        tokens={
            "refresh": [rotation.token(secret, 0) for secret in range(rotation.SESSIONS)],
            "access": ["x" * 600] * rotation.SESSIONS,
        },
    )


def fastapi_users(cluster: Cluster) -> Contestant:
    python = str(python_of("fastapi_users"))
    return Contestant(
        name=FASTAPI_USERS,
        database="fastapi_users",
        folder=FOLDERS / "fastapi_users",
        env={"DATABASE_URL": cluster.url("fastapi_users"), "SECRET": SECRET, **_POOL, **_ARGON2},
        prepare=([python, "app.py"],),
        command=_uvicorn(python, "app:app"),
        first="/users/me",
        register=post("/auth/register", {"email": VALUE, "password": PASSWORD}),
        operations={
            "login": post(
                "/auth/jwt/login",
                {"username": VALUE, "password": PASSWORD},
                form=True,
                pick=r'"access_token":"(?P<access>[^"]+)"',
            ),
            "me": get("/users/me", f"Authorization: Bearer {VALUE}"),
        },
    )


def simplejwt(cluster: Cluster) -> Contestant:
    python = str(python_of("simplejwt"))
    fields = {"username": VALUE, "password": PASSWORD}
    tokens = r'"refresh":"(?P<refresh>[^"]+)","access":"(?P<access>[^"]+)"'
    return Contestant(
        name=SIMPLEJWT,
        database="simplejwt",
        folder=FOLDERS / "simplejwt",
        env={
            "DATABASE_URL": cluster.url("simplejwt"),
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "SECRET": SECRET,
            **_POOL,
            **_ARGON2,
        },
        prepare=([python, "-m", "django", "migrate", "--verbosity", "0"],),
        # Threads, because a worker of another kind than these keeps no connection alive, and waits while it hashes.
        command=lambda port, workers: [
            python, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", "8",
            "--keep-alive", "15", "--log-level", "warning", "django.core.wsgi:get_wsgi_application()",
        ],
        first="/me",
        register=post("/register", fields),
        operations={
            "login": post("/login", fields, pick=tokens),
            "refresh": post("/refresh", {"refresh": VALUE}, pick=r'"refresh":"(?P<refresh>[^"]+)"', chain="refresh"),
            "me": get("/me", f"Authorization: Bearer {VALUE}"),
        },
    )  # fmt: skip


def better_auth(cluster: Cluster) -> Contestant:
    fields = {"email": VALUE, "password": PASSWORD}
    return Contestant(
        name=BETTER_AUTH,
        database="better_auth",
        folder=node_folder("better_auth"),
        env={
            "DATABASE_URL": cluster.url("better_auth"),
            "BETTER_AUTH_URL": "http://bench",
            "BETTER_AUTH_SECRET": SECRET,
            "NODE_ENV": "production",
            **_POOL,
            **_ARGON2,
        },
        prepare=(["node", "server.mjs", "migrate"],),
        command=lambda port, workers: ["node", "server.mjs", str(port), str(workers)],
        first="/api/auth/get-session",
        register=post("/api/auth/sign-up/email", {**fields, "name": "Ada"}),
        operations={
            "login": post("/api/auth/sign-in/email", fields, pick=r"(?i:set-cookie): (?P<access>[^;]+)"),
            "me": get("/api/auth/get-session", f"Cookie: {VALUE}"),
        },
    )


def _uvicorn(python: str, app: str) -> Callable[[int, int], Command]:
    return lambda port, workers: [
        python, "-m", "uvicorn", app, "--port", str(port), "--workers", str(workers), *_UVICORN,
    ]  # fmt: skip


PEERS = (fastapi_users, simplejwt, better_auth)
ALL = (ours, *PEERS, floor)
