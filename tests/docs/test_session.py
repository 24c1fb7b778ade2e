"""The `Session` of docs/integrating.md, with a real service: nothing but the end of the session signs its user out."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.conftest import environment
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import block
from tests.support.server import Server, wait_until
from tests.support.tcp_proxy import TcpProxy

PAGE = "docs/integrating.md"
INVALID = {"code": "invalid-refresh-token"}
# What stands in for a process of an application: it renews the token so many times, and says how that ended.
PROCESS = """
import sys
url, path, times = sys.argv[1:]
session = Session(httpx2.Client(base_url=url, trust_env=False), FileStore(Path(path)))
token = None
for _ in range(int(times)):
    try:
        token = session.access_token(refused=token)
    except TryAgainLaterError:
        pass
print(token)
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("session")
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", AUTH_THROTTLE__ENABLED="false")
    with Server(env, folder) as server:
        server.wait_ready(60)
        yield server


@pytest.fixture(scope="module")
def unforgiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service without a grace, as it is half a minute after a lost answer: the key alone saves a retry."""
    folder = tmp_path_factory.mktemp("unforgiving")
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", AUTH_TOKENS__REFRESH_GRACE="0")
    with Server(env, folder) as server:
        server.wait_ready(60)
        yield server


def code() -> str:
    """The page's two classes."""
    return block(PAGE, "run: session") + block(PAGE, "run: store")


class Application:
    """What an application has: the page's code, a client, and a store, with a session in it."""

    def __init__(self, clients: ExitStack, url: str, path: Path, *, signed_in: bool = True, clock: float = 0) -> None:
        self.names: dict[str, Any] = {}
        exec(code(), self.names)  # noqa: S102  # that the page's code runs is the test
        self.names["time"] = self.clock = Clock(clock)
        self.asked: list[str] = []
        self.store = self.names["FileStore"](path)
        hooks = {"request": [lambda request: self.asked.append(request.url.path)]}
        self.clients = clients
        self.http = clients.enter_context(httpx2.Client(base_url=url, trust_env=False, event_hooks=hooks))
        self.session = self.names["Session"](self.http, self.store)
        if signed_in:
            self.sign_in()

    def sign_in(self) -> None:
        who = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
        self.http.post("/auth/register", json=who).raise_for_status()
        self.session.keep(self.http.post("/auth/login", json=who))
        self.asked.clear()

    def saved(self) -> dict[str, Any]:
        with self.store.open() as saved:
            return dict(saved)

    def change(self, **values: Any) -> None:
        with self.store.open() as saved:
            saved.update(values)

    def is_signed_in(self) -> bool:
        bearer = {"Authorization": f"Bearer {self.session.access_token()}"}
        return bool(self.http.get("/auth/me", headers=bearer).status_code == 200)


class Clock(SimpleNamespace):
    """The module `time`, with a wall clock that is ahead, and sleeps that take no time."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead
        self.slept = 0.0
        super().__init__(time=lambda: time.time() + self.ahead, monotonic=lambda: time.monotonic() + self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(min(seconds, 0.02))


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Closes the clients of a test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def app(service: Server, clients: ExitStack, tmp_path: Path) -> Application:
    return Application(clients, service.base_url, tmp_path / "session.json")


@pytest.fixture
def hard_pressed(unforgiving: Server, clients: ExitStack, tmp_path: Path) -> Application:
    return Application(clients, unforgiving.base_url, tmp_path / "session.json")


def again(app: Application, url: str | None = None, clock: float = 0) -> Application:
    """The application after a restart, or another process of it."""
    return Application(app.clients, url or str(app.http.base_url), app.store._path, signed_in=False, clock=clock)


@runs(PAGE, "run: session", "run: store")
def test_many_threads_get_the_answer_of_one_refresh(app: Application) -> None:
    app.change(issued_at=0)
    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(lambda _: app.session.access_token(), range(24)))
    assert (len(tokens), app.asked) == (1, ["/auth/refresh"])
    assert app.is_signed_in()


def test_saved_tokens_are_as_old_as_they_are(app: Application) -> None:
    token = app.session.access_token()
    assert again(app).session.access_token() == token
    for gone, is_same in ((260, True), (275, False)):
        later = again(app, clock=gone)
        assert (later.session.access_token() == token) is is_same, gone
        assert later.asked == ([] if is_same else ["/auth/refresh"]), gone


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_clock_that_is_ten_minutes_wrong_changes_nothing(
    service: Server, clients: ExitStack, tmp_path: Path, ahead: float
) -> None:
    app = Application(clients, service.base_url, tmp_path / "session.json", clock=ahead)
    token = app.session.access_token()
    assert again(app, clock=ahead).session.access_token() == token
    app.clock.ahead += 290
    assert app.session.access_token() != token
    assert app.asked == ["/auth/refresh"]
    assert app.is_signed_in()


@pytest.mark.parametrize("step", [-600, 600])
def test_a_clock_that_is_set_costs_one_refresh(app: Application, step: float) -> None:
    for process, now in ((app, step), (again(app, clock=2 * step), 2 * step)):  # while it runs, and before a restart
        token = app.saved()["access_token"]
        process.clock.ahead = now
        assert process.session.access_token() != token
        assert process.is_signed_in()
        assert process.asked.count("/auth/refresh") == 1


def test_two_machines_whose_clocks_differ_share_a_session(app: Application) -> None:
    other = again(app, clock=-600)
    assert other.is_signed_in()
    for process in (app, other):
        token = process.session.access_token(refused=process.saved()["access_token"])
        assert {app.session.access_token(), other.session.access_token()} == {token}
    assert (app.asked, other.asked) == (["/auth/refresh"], ["/auth/refresh", "/auth/me", "/auth/refresh"])


ODD_ANSWERS: dict[str, tuple[int, dict[str, str], str]] = {
    "503": (503, {"Retry-After": "1"}, '{"code": "unavailable"}'),
    "503 for an hour": (503, {"Retry-After": "3600"}, '{"code": "unavailable"}'),
    "503 until a date": (503, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, ""),
    "429": (429, {"Retry-After": "30"}, '{"code": "too-many-attempts"}'),
    "500": (500, {}, ""),
    "502 of a gateway": (502, {"Content-Type": "text/html"}, "<h1>Bad gateway</h1>"),
    "404 of a gateway": (404, {}, "no such route"),
    "403 of a firewall": (403, {}, '{"code": "blocked"}'),
    "407": (407, {}, ""),
    "422": (422, {}, '{"code": "validation-error"}'),
    "401 of a gateway": (401, {"WWW-Authenticate": "Basic"}, "who are you?"),
    "401 of something else": (401, {}, '{"code": "unauthorized"}'),
    "a captive portal": (200, {"Content-Type": "text/html"}, "<h1>Welcome to the hotel</h1>"),
    "a redirect to it": (302, {"Location": "http://127.0.0.1:9/"}, ""),
    "JSON that is no token": (200, {}, "[]"),
    "an empty object": (200, {}, "{}"),
    "half an answer": (200, {"Content-Length": "500"}, '{"access_token": "ey'),
}


@pytest.fixture
def gateway() -> Iterator[ThreadingHTTPServer]:
    """Something between an application and the service that answers itself: `answer` is a status, headers, a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            status, headers, body = server.answer  # type: ignore[attr-defined]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_no_answer_but_the_services_own_401_ends_a_session(
    app: Application, gateway: ThreadingHTTPServer, answer: tuple[int, dict[str, str], str]
) -> None:
    gateway.answer = answer  # type: ignore[attr-defined]
    behind = again(app, f"http://127.0.0.1:{gateway.server_port}")
    token, before = app.session.access_token(), app.saved()
    app.change(issued_at=before["issued_at"] - 280)
    assert behind.session.access_token() == token  # an outage, and it is good for twenty seconds more
    with pytest.raises(behind.names["TryAgainLaterError"]):
        behind.session.access_token(refused=token)
    with pytest.raises(behind.names["TryAgainLaterError"]):
        behind.session.sign_out()
    assert app.saved().items() >= {"refresh_token": before["refresh_token"], "session_id": before["session_id"]}.items()
    assert app.session.access_token() != token
    assert app.is_signed_in()
    assert "key" not in app.saved()


def test_a_service_that_is_down_or_silent_costs_a_bounded_wait(service: Server, app: Application) -> None:
    with TcpProxy(service.port) as proxy:
        behind = again(app, f"http://127.0.0.1:{proxy.port}")
        for fault in (proxy.refuse, proxy.silence):
            fault()
            began = time.monotonic()
            with pytest.raises(behind.names["TryAgainLaterError"]):
                behind.session.access_token(refused=app.saved()["access_token"])
            assert time.monotonic() - began < 25
        proxy.pass_through()
        behind.clock.slept += 60
        assert behind.is_signed_in()


def lose_an_answer(proxy: TcpProxy, ask: Callable[[], object]) -> None:
    """Have the service do its work, and break the connection before its answer passes."""
    proxy.reset_counters()
    proxy.swallow_answers()
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(ask)
        wait_until(lambda: proxy.bytes_down > 0, 10, lambda: "no answer was swallowed")
        proxy.refuse()
        proxy.reset()
        asked.exception(30)
    proxy.pass_through()


@pytest.mark.parametrize("is_restarted", [False, True], ids=["the same process", "after a restart"])
def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    unforgiving: Server, hard_pressed: Application, is_restarted: bool
) -> None:
    with TcpProxy(unforgiving.port) as proxy:
        app = again(hard_pressed, f"http://127.0.0.1:{proxy.port}")
        before = app.saved()
        lose_an_answer(proxy, lambda: app.session.access_token(refused=before["access_token"]))
        assert app.saved() == {**before, "key": app.saved()["key"]}
        process = again(app) if is_restarted else app
        process.clock.slept += 60
        token = process.session.access_token(refused=before["access_token"])
        assert process.session.access_token(refused=token) != token
        assert process.is_signed_in()


def run_process(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code() + PROCESS, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_process_that_is_killed_before_it_saves_the_answer_loses_nothing(
    unforgiving: Server, hard_pressed: Application
) -> None:
    app = hard_pressed
    app.change(issued_at=0)
    before = app.saved()["refresh_token"]
    with TcpProxy(unforgiving.port) as proxy:
        proxy.swallow_answers()
        process = run_process(f"http://127.0.0.1:{proxy.port}", app.store._path, 1)
        wait_until(lambda: proxy.bytes_down > 0, 20, lambda: "no answer was swallowed")
        process.kill()
        process.communicate()
    assert app.saved()["refresh_token"] == before
    assert again(app).is_signed_in()


def test_an_answer_that_cannot_be_saved_is_asked_for_again(hard_pressed: Application) -> None:
    app = hard_pressed
    before, save = app.saved(), app.store._save
    saves: list[dict[str, Any]] = []

    def full_after_the_key(saved: dict[str, Any]) -> None:
        saves.append(saved)
        if len(saves) > 1:
            raise OSError("no space left on device")
        save(saved)

    app.store._save = full_after_the_key
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            app.session.access_token(refused=before["access_token"])
    app.store._save = save
    assert app.saved()["refresh_token"] == before["refresh_token"]
    assert app.session.access_token(refused=before["access_token"])
    assert app.is_signed_in()


def test_processes_that_share_a_store_stay_signed_in_while_answers_get_lost(service: Server, app: Application) -> None:
    with TcpProxy(service.port) as proxy:
        processes = [run_process(f"http://127.0.0.1:{proxy.port}", app.store._path, 12) for _ in range(4)]
        for _ in range(6):
            proxy.reset_counters()
            proxy.swallow_answers()
            wait_until(lambda: proxy.bytes_down > 0, 30, lambda: "no answer was swallowed")
            proxy.reset()
            proxy.reset_counters()
            proxy.pass_through()
            wait_until(lambda: proxy.bytes_down > 0, 30, lambda: "no answer passed")
        ends = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in ends] == [""] * 4
    assert again(app).is_signed_in()


def test_a_process_that_is_stopped_in_a_refresh_holds_up_no_other(service: Server, app: Application) -> None:
    token = app.session.access_token()
    app.change(issued_at=0)
    with TcpProxy(service.port) as proxy:
        proxy.silence()
        process = run_process(f"http://127.0.0.1:{proxy.port}", app.store._path, 1)
        wait_until(lambda: proxy.connections > 0, 20, lambda: "it did not ask")
        assert app.session.access_token() != token
        latest = app.session.access_token(refused=app.session.access_token())
        proxy.pass_through()  # the refresh from before arrives late
        printed, errors = process.communicate(timeout=30)
    assert (printed.strip(), errors) == (latest, "")
    assert app.session.access_token(refused=latest)
    assert app.is_signed_in()


def test_a_sign_out_in_one_process_is_one_in_all(app: Application) -> None:
    other = again(app)
    assert other.session.access_token()
    app.session.sign_out()
    app.session.sign_out()
    for process in (other, app):
        with pytest.raises(process.names["SignInAgainError"]):
            process.session.access_token()


def test_an_ended_session_says_so_and_a_new_sign_in_mends_it(app: Application) -> None:
    ended = {"refresh_token": app.saved()["refresh_token"]}
    app.http.post("/auth/logout", json=ended).raise_for_status()
    with pytest.raises(app.names["SignInAgainError"]):
        app.session.access_token(refused=app.saved()["access_token"])
    app.sign_in()
    assert app.is_signed_in()


def test_the_end_of_an_old_session_leaves_the_tokens_of_a_new_one(app: Application) -> None:
    old = {**app.saved(), "key": "k"}
    app.http.post("/auth/logout", json={"refresh_token": old["refresh_token"]}).raise_for_status()
    app.sign_in()
    app.session._refresh(old)
    assert app.is_signed_in()


def test_what_is_no_answer_with_tokens_is_not_kept(app: Application) -> None:
    before = app.saved()
    wrong = app.http.post("/auth/login", json={"email": "nobody@example.com", "password": PASSWORD})
    with pytest.raises(httpx2.HTTPStatusError):
        app.session.keep(wrong)
    with pytest.raises(ValueError, match="no tokens"):
        app.session.keep(app.http.get("/.well-known/jwks.json"))
    assert app.saved() == before


def test_nobody_else_can_read_the_file(app: Application) -> None:
    assert {path.stat().st_mode & 0o777 for path in app.store._path.parent.glob("session.json*")} == {0o600}


@runs(PAGE, "run: bearer")
def test_the_code_that_uses_it_sends_a_request_again_once_after_a_401(app: Application) -> None:
    who = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    app.http.post("/auth/register", json=who).raise_for_status()
    known = {
        "https://auth.example.com": str(app.http.base_url).rstrip("/"),
        "ada@example.com": who["email"],
        "correct horse battery staple": PASSWORD,
        'Path("session.json")': f"Path({str(app.store._path)!r})",
    }
    used, names = block(PAGE, "run: bearer"), app.names
    for told, here in known.items():
        used = used.replace(told, here)
    exec(used, names)  # noqa: S102  # as above
    assert names["me"]["email"] == who["email"]
    app.change(access_token=app.saved()["access_token"][:-8] + "AAAAAAAA")
    app.asked.clear()
    for _ in range(2):
        assert app.http.get("/auth/me", auth=names["Bearer"](names["session"])).json()["email"] == who["email"]
    assert app.asked == ["/auth/me"] * 3
    app.clients.callback(names["http"].close)
