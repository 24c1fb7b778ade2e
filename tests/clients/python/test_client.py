"""The Python client with the test double: what signs a user out, and what never does."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from auth_service_client import (
    AsyncAuthClient,
    AuthClient,
    AuthError,
    EnrolmentRequired,
    FileStore,
    MemoryStore,
    Refused,
    SignInAgain,
    TryAgainLater,
)
from auth_service_client.steps import ANSWER, Ask

from auth_service.testing.double import Double
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD
from tests.support.python_client import MakeAuth, age, sign_in
from tests.support.server import free_port, wait_until

REFRESH = "POST /auth/refresh"
NEW_PASSWORD = "another long passphrase"
LOSSES: list[dict[str, Any]] = [
    {"fault": "lose-request"},
    {"fault": "lose-answer"},
    {"fault": "unavailable", "seconds": 0},
]


@contextmanager
def hanging(after: int) -> Iterator[str]:
    """The URL of something that closes so many connections, and says nothing on the next ones."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def close() -> None:
            for _ in range(after):
                listening.accept()[0].close()

        closing = pool.submit(close)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        closing.result()


@pytest.mark.parametrize("loss", LOSSES, ids=[str(loss["fault"]) for loss in LOSSES])
def test_a_refresh_that_fails_is_made_again_and_signs_nobody_out(
    make_auth: MakeAuth, auth_double: Double, loss: dict[str, Any]
) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    age(store)
    auth_double.switch_faults({"route": REFRESH, "times": 2, **loss})
    assert auth.access_token() != first
    assert auth.account()


def test_the_key_of_a_lost_refresh_is_kept_over_a_restart_and_the_grace(
    make_auth: MakeAuth, auth_double: Double, tmp_path: Path
) -> None:
    store = FileStore(tmp_path / "session.json")
    auth = make_auth(store)
    sign_in(auth)
    age(store, 280)
    auth_double.switch_faults(
        {"route": REFRESH, "fault": "lose-answer"}, {"route": REFRESH, "fault": "unavailable", "times": None}
    )
    auth.access_token()  # still good for a while
    auth_double.switch_faults()
    auth_double.set_clock(3600)
    age(store)
    assert make_auth(FileStore(tmp_path / "session.json")).account()


def test_an_outage_ends_no_session(make_auth: MakeAuth, auth_double: Double) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    still_good = auth.access_token()
    age(store, 280)
    auth_double.switch_faults({"route": REFRESH, "fault": "unavailable", "times": None, "seconds": 60})
    assert auth.access_token() == still_good, "it has some seconds left"
    age(store)
    with pytest.raises(TryAgainLater):
        auth.access_token()
    auth_double.switch_faults()
    with store.open() as saved:
        assert saved["refresh_token"].startswith("art_")


def test_only_the_end_of_the_session_signs_the_user_out(make_auth: MakeAuth, auth_double: Double) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    auth_double.set_clock(15 * 86_400)
    age(store)
    with pytest.raises(SignInAgain):
        auth.access_token()
    with store.open() as saved:
        assert saved == {}


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_clock_that_is_wrong_by_ten_minutes_makes_no_difference(
    make_auth: MakeAuth, auth_double: Double, ahead: int
) -> None:
    auth_double.set_clock(ahead)
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    assert auth.access_token() == first
    age(store, 280)
    assert auth.access_token() != first


def test_a_token_that_an_api_refuses_is_renewed_once(auth: Any, auth_double: Double) -> None:
    first = auth.access_token()
    auth_double.set_clock(600)  # while the client slept, and its clock with it
    assert auth.account()
    assert auth.access_token() != first


def test_a_sign_out_forgets_the_session_also_when_the_service_cannot_be_told(
    make_auth: MakeAuth, auth_double: Double
) -> None:
    auth, elsewhere = make_auth(), make_auth()
    elsewhere.sign_in(PASSWORD, email=sign_in(auth))
    auth_double.switch_faults({"route": "POST /auth/logout", "fault": "lose-request", "times": None})
    assert not auth.sign_out()
    with pytest.raises(SignInAgain):
        auth.access_token()
    auth_double.switch_faults()
    assert auth.sign_out(), "nothing is left here to end"
    (left,) = [session for session in elsewhere.sessions() if not session["current"]]
    elsewhere.end_session(left["id"])
    assert len(elsewhere.sessions()) == 1


def test_a_sign_out_takes_no_longer_than_one_answer(make_auth: MakeAuth) -> None:
    """From a service that breaks one connection, and takes others and says nothing."""
    store = MemoryStore()
    with store.open() as saved:
        saved.update(OLD)
    with hanging(after=1) as url:
        began = time.monotonic()
        assert not make_auth(store, url).sign_out()
    assert ANSWER - 1 < time.monotonic() - began < ANSWER + 1.5


def test_a_function_that_raises_when_it_is_told_keeps_no_change_from_being_made(make_auth: MakeAuth) -> None:
    class Full(BaseException):
        """Whatever it raises."""

    told: list[str] = []

    def tell(change: str) -> None:
        told.append(change)
        raise Full

    store = MemoryStore()
    auth, elsewhere = make_auth(store, on_change=tell), make_auth()
    email = sign_in(elsewhere)
    with pytest.raises(Full):
        auth.sign_in(PASSWORD, email=email)
    age(store)
    with pytest.raises(Full):
        auth.access_token()
    assert auth.access_token()
    with pytest.raises(Full):
        auth.sign_out()
    assert told == ["signed-in", "renewed", "signed-out"]
    assert auth.sign_out()
    assert len(elsewhere.sessions()) == 1, "the service was told"


def test_an_old_sign_in_ends_other_sessions_with_the_token_of_a_step_up(auth: Any, auth_double: Double) -> None:
    auth_double.set_clock(3600)
    with pytest.raises(Refused) as refused:
        auth.end_other_sessions()
    assert refused.value.code == "step-up-required"
    auth.end_other_sessions(auth.step_up(password=PASSWORD))


def test_an_old_sign_in_changes_the_password_and_adds_an_app_with_the_token_of_a_step_up(
    auth: Any, auth_double: Double
) -> None:
    auth_double.set_clock(3600)
    with pytest.raises(Refused) as refused:
        auth.add_totp()
    assert refused.value.code == "step-up-required"
    assert auth.add_totp(auth.step_up(password=PASSWORD))["secret"]
    auth.change_password(PASSWORD, NEW_PASSWORD, auth.step_up(password=PASSWORD))
    assert auth.account()


@pytest.fixture(scope="module")
def demanding() -> Iterator[Double]:
    """One where every account must have a second factor."""
    with Double(settings={"AUTH_FACTORS__REQUIRED_ROLES": "user"}) as double:
        yield double


def test_who_must_add_a_factor_is_told_so_and_adds_one(make_auth: MakeAuth, demanding: Double) -> None:
    auth = make_auth(url=demanding.url)
    email = f"{uuid4().hex}@example.com"
    auth.sign_up(email, PASSWORD)
    with pytest.raises(EnrolmentRequired) as asked:
        auth.sign_in(PASSWORD, email=email)
    begun = auth.enrol(asked.value.challenge)
    codes = auth.confirm_enrolment(asked.value.challenge, Authenticator(begun["secret"]).code())
    assert len(codes) == 10
    assert auth.account()["email"] == email


NO_SERVICES = [
    "127.0.0.1:8000", "localhost", "", "ftp://auth.example.com", "https://", "/auth", "http://[::1", "https://a\n",
    "http://auth.example.com", "HTTP://auth.example.com", "http://10.0.0.1:8000", "http://auth:8000", "http://[::2]",
    "http://localhost@evil.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example",
    "http://evil-localhost", "http://localhost\\.evil.example", "http://evil.example\\.localhost", "http://127.1",
    "https://ada:secret@auth.example.com", "https://@auth.example.com", "http://ada@localhost",
    "https://auth.example.com?to=1", "https://auth.example.com/#top", "https://auth.example.com?", "http://localhost#",
    "https://a b", "https://auth.example.com:99999", "https://auth.example.com:0", None, 3, b"https://auth.example.com",
]  # fmt: skip
SERVICES = [
    "https://auth.example.com", "https://auth.example.com:8443/base/", "http://localhost:9000", "http://LOCALHOST",
    "http://auth.localhost:9000", "http://127.0.0.1:9000", "http://127.255.0.1", "http://[::1]:9000/",
]  # fmt: skip


@pytest.mark.parametrize("url", NO_SERVICES)
def test_what_is_no_url_of_a_service_or_would_send_passwords_in_the_clear_is_refused_at_once(
    make_auth: MakeAuth, url: Any
) -> None:
    with pytest.raises(ValueError, match=r"https://auth\.example\.com") as told:
        make_auth(url=url)
    assert "secret" not in str(told.value)


def test_a_service_is_reached_by_https_or_on_this_machine(make_auth: MakeAuth) -> None:
    for url in SERVICES:
        make_auth(url=url)


def test_a_back_end_may_say_that_the_network_is_its_own(make_auth: MakeAuth) -> None:
    make_auth(url="http://auth:8000", plain_http=True)
    for url in ("http://ada:secret@auth:8000", "ftp://auth", "http://"):
        with pytest.raises(ValueError, match="https://"):
            make_auth(url=url, plain_http=True)


def test_an_error_says_what_came_instead_of_an_answer(make_auth: MakeAuth, auth_double: Double) -> None:
    nobody = make_auth(url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TryAgainLater, match="no answer") as told:
        nobody.sign_in(PASSWORD, email="ada@example.com")
    assert isinstance(told.value.__cause__, httpx2.HTTPError)
    auth_double.switch_faults({"route": "POST /auth/login", "fault": "unavailable"})
    with pytest.raises(TryAgainLater, match="503"):
        make_auth().sign_in(PASSWORD, email="ada@example.com")
    with pytest.raises(SignInAgain, match="sign in"):
        nobody.account()


def test_an_error_says_what_the_service_said_and_how_long_to_wait() -> None:
    problem = {"code": "overloaded", "detail": "There is too much to do just now."}
    answer = httpx2.Response(503, json=problem, headers={"Retry-After": "7"})
    store = MemoryStore()
    with store.open() as saved:
        saved.update(OLD)
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as http:
        auth = AuthClient("https://auth.example.com", store, http, patience=0.1)
        for call in (lambda: auth.forgot_password("ada@example.com"), auth.access_token):
            with pytest.raises(TryAgainLater, match=r"503: There is too much to do just now\.") as told:
                call()
            assert 6 < told.value.retry_after <= 7


@pytest.mark.parametrize(
    "said",
    [{"id": 2}, {"items": 3}, {"items": "x"}, {"items": None}, {"items": [], "next_cursor": 3}, {"access_token": 3}],
    ids=repr,
)
def test_what_is_no_answer_of_the_service_is_told_as_an_outage(said: dict[str, Any]) -> None:
    store = MemoryStore()
    with store.open() as saved:
        saved.update({**OLD, "issued_at": time.time()})
    answer = httpx2.Response(200, json=said)
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as http:
        auth = AuthClient("https://auth.example.com", store, http)
        for call in (
            auth.sessions,
            lambda: auth.step_up(password=PASSWORD),
            lambda: auth.sign_in(PASSWORD, email="ada@example.com"),
        ):
            with pytest.raises(TryAgainLater, match="no answer"):
                call()


def test_an_async_function_that_nothing_would_wait_for_is_refused_at_once(make_auth: MakeAuth) -> None:
    class Told:
        async def __call__(self, _change: str) -> None: ...

    for no_function in (Told(), Told().__call__, partial(Told().__call__)):
        with pytest.raises(ValueError, match="async"):
            make_auth(on_change=no_function)


OLD = {"access_token": "old", "refresh_token": "old", "session_id": "1", "expires_in": 300, "issued_at": 0, "ahead": 0}
TOKENS = {"access_token": "new", "refresh_token": "new", "session_id": "1", "expires_in": 300}


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>a captive portal</html>"),
        httpx2.Response(200, json=[1]),
        httpx2.Response(200, json={**TOKENS, "expires_in": "x"}),
        *(
            httpx2.Response(200, text=json.dumps({**TOKENS, "expires_in": life}))
            for life in (0, -1, -0.5, True, float("nan"), float("inf"), 10**400, "300", [300], None)
        ),
        httpx2.Response(200, json={**TOKENS, "access_token": 1}),
        httpx2.Response(200, json={**TOKENS, "access_token": ""}),
        httpx2.Response(200, json={**TOKENS, "session_id": 3}),
        httpx2.Response(200, json={**TOKENS, "session_id": ""}),
        httpx2.Response(403, json={"code": "x", "challenge": "x", "methods": 3}),
        httpx2.Response(403, json={"code": "x", "challenge": "x", "expires_in": "x"}),
        httpx2.Response(200, json={**TOKENS, "access_token": "a\r\nX: y"}),
        httpx2.Response(200, text=json.dumps({**TOKENS, "refresh_token": "\ud800"})),
        httpx2.Response(200, json={name: value for name, value in TOKENS.items() if name != "expires_in"}),
        httpx2.Response(200, json={}),
        httpx2.Response(200, text='{"access_token": "ey'),
        httpx2.Response(200, text="[" * 100_000),
        httpx2.Response(401, text='{"code":' * 100_000),
        httpx2.Response(200, text="9" * 100_000),
        httpx2.Response(302, headers={"Location": "https://portal.example.com/"}),
        httpx2.Response(401, headers={"WWW-Authenticate": "Basic"}, text="who are you?"),
        httpx2.Response(401, json={"code": "another"}),
        httpx2.Response(403, json={"code": "blocked"}),
        httpx2.Response(404, text="no such route"),
        httpx2.Response(407),
        httpx2.Response(422, json={"code": "validation-error"}),
        httpx2.Response(429, headers={"Retry-After": "9" * 5000}),
        httpx2.Response(502, json={"code": "invalid-refresh-token"}),
        httpx2.Response(503, headers={"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.text[:30]}",
)
def test_no_answer_of_something_in_between_ends_or_spoils_the_session(answer: httpx2.Response) -> None:
    store = MemoryStore()
    with store.open() as saved:
        saved.update(OLD)
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as http:
        auth = AuthClient("https://auth.example.com", store, http, patience=0.3)
        with pytest.raises(TryAgainLater):
            auth.access_token()
        with pytest.raises((TryAgainLater, Refused)):
            auth.sign_in(PASSWORD, email="ada@example.com")
    with store.open() as saved:
        assert {name: saved[name] for name in OLD} == OLD


@pytest.mark.parametrize(
    ("told", "is_asked_again"),
    [("3", False), ("9" * 50, False), ("Wed, 21 Oct 2099 07:28:05 GMT", False), ("0", True),
     ("Wed, 21 Oct 1999 07:28:05 GMT", True), ("soon", True), ("-1", True), ("", True)],
)  # fmt: skip
def test_who_is_told_to_wait_by_a_number_or_a_date_waits(told: str, is_asked_again: bool) -> None:
    store, asked = MemoryStore(), []

    def answered(_request: httpx2.Request) -> httpx2.Response:
        asked.append(time.monotonic())
        return httpx2.Response(503, headers={"Retry-After": told, "Date": "Wed, 21 Oct 2099 07:28:00 GMT"})

    with store.open() as saved:
        saved.update(OLD)
    with httpx2.Client(transport=httpx2.MockTransport(answered)) as http:
        auth = AuthClient("https://auth.example.com", store, http, patience=0.5)
        with pytest.raises(TryAgainLater):
            auth.access_token()
    assert len(asked) == (2 if is_asked_again else 1)


@pytest.mark.parametrize("status", [200, 201, 202, 500])
def test_only_204_is_a_sign_out(status: int) -> None:
    store, sent = MemoryStore(), []

    def answered(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.path)
        return httpx2.Response(status, json={})

    with store.open() as saved:
        saved.update(OLD)
    with httpx2.Client(transport=httpx2.MockTransport(answered)) as http:
        assert not AuthClient("https://auth.example.com", store, http).sign_out()
    assert sent == ["/auth/logout"] * 3


def test_of_an_answer_without_an_end_no_more_is_read_than_one_may_have() -> None:
    given = 0

    def parts() -> Iterator[bytes]:
        nonlocal given
        while True:
            given += 1_000_000
            yield b" " * 1_000_000

    async def asynchronous_parts() -> AsyncIterator[bytes]:
        for part in parts():
            yield part

    def endless(request: httpx2.Request) -> httpx2.Response:
        is_async = request.url.path.startswith("/async")
        return httpx2.Response(200, content=asynchronous_parts() if is_async else parts())

    transport = httpx2.MockTransport(endless)
    with httpx2.Client(transport=transport) as http, pytest.raises(TryAgainLater, match="too large"):
        AuthClient("https://auth.example.com", http=http).forgot_password("ada@example.com")

    async def ask() -> None:
        async with httpx2.AsyncClient(transport=transport) as http:
            await AsyncAuthClient("https://auth.example.com/async", http=http).forgot_password("ada@example.com")

    with pytest.raises(TryAgainLater, match="too large"):
        asyncio.run(ask())
    assert given < 50_000_000


def test_an_answer_that_drips_is_none() -> None:
    """Each byte comes in time, and the last one never: both clients wait no longer than for any other answer."""
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
            while not ended.wait(0.2):
                connection.sendall(b" ")

    def told(client: type[AuthClient] | type[AsyncAuthClient]) -> str:
        try:
            came = client(url).forgot_password("ada@example.com")
            if came is not None:
                asyncio.run(came)
        except TryAgainLater as error:
            return str(error)
        return "an answer"

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(4) as pool:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        drips = [pool.submit(drip), pool.submit(drip)]
        waits = [pool.submit(told, AuthClient), pool.submit(told, AsyncAuthClient)]
        wait(waits, timeout=2 * ANSWER)
        ended.set()
        wait(drips)
        assert [waiting.result() for waiting in waits] == ["no answer from the service: the answer is too slow"] * 2


def test_threads_of_one_client_get_the_answer_of_one_refresh(auth_double: Double) -> None:
    asked: list[str] = []
    store = MemoryStore()
    with (
        httpx2.Client(event_hooks={"request": [lambda request: asked.append(request.url.path)]}) as http,
        ThreadPoolExecutor(8) as threads,
    ):
        auth = AuthClient(auth_double.url, store, http)
        sign_in(auth)
        age(store)
        assert len(set(threads.map(lambda _: auth.access_token(), range(24)))) == 1
    assert asked.count("/auth/refresh") == 1


def test_what_was_asked_of_the_old_session_and_is_answered_late_leaves_the_new_one(
    auth_double: Double, tmp_path: Path
) -> None:
    """A process that hangs in a refresh holds up no other, and its answer signs nobody out."""
    store = FileStore(tmp_path / "session.json")
    with AuthClient(auth_double.url, store) as one, AuthClient(auth_double.url, store) as other:
        email = sign_in(one)
        with AuthClient(auth_double.url) as elsewhere:
            elsewhere.sign_in(PASSWORD, email=email)
            elsewhere.end_other_sessions()
        age(store)
        auth_double.switch_faults({"route": REFRESH, "fault": "delay-answer", "seconds": 1.5})
        with ThreadPoolExecutor(1) as thread:
            late = thread.submit(one.access_token)
            wait_until(
                lambda: "key" in json.loads((tmp_path / "session.json").read_text()), 5, lambda: "it did not ask"
            )
            other.sign_in(PASSWORD, email=email)
            assert not late.done(), "nobody has waited for it"
            assert late.result() == other.access_token()
        assert one.account()["email"] == email


def test_new_tokens_that_cannot_be_kept_are_asked_for_again(make_auth: MakeAuth, auth_double: Double) -> None:
    class Full(MemoryStore):
        """A disk that is full for new tokens."""

        is_full = False

        @contextmanager
        def open(self) -> Iterator[dict[str, Any]]:
            with super().open() as saved:
                before = dict(saved)
                yield saved
                if self.is_full and "key" not in saved:
                    saved.update(before)
                    raise OSError("no space left on device")

    store = Full()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    age(store)
    store.is_full = True
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            auth.access_token()
    store.is_full = False
    auth_double.set_clock(60)
    assert auth.access_token() != first
    assert auth.account()


def test_a_clock_that_was_set_back_costs_one_refresh(make_auth: MakeAuth) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    age(store, -4)
    assert auth.access_token() == first
    age(store, -600)
    second = auth.access_token()
    assert second != first
    assert auth.access_token() == second


def test_a_process_believes_its_own_clock_before_that_of_whoever_kept_the_tokens(make_auth: MakeAuth) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    first = auth.access_token()
    with store.open() as saved:
        saved["ahead"] += 600  # another machine, whose clock is slow
    assert auth.access_token() == first
    assert make_auth(store).access_token() != first, "it has no other yet"


def test_requests_to_the_service_have_the_headers_that_are_given(make_auth: MakeAuth) -> None:
    auth, other = (make_auth(headers={"User-Agent": f"A browser/{number}"}) for number in range(2))
    other.sign_in(PASSWORD, email=sign_in(auth))
    assert {session["user_agent"] for session in other.sessions()} == {"A browser/0", "A browser/1"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("Mozzé/1", "Mozzé/1"),
        ("Mozz\u0107/1", "Mozz?/1"),
        ("\ud800", "?"),
        ("Mozz\u0107/1".encode(), "MozzÄ/1"),
        (" A\tbrowser ", "Abrowser"),
        ("A browser\x7f", None),
        ("", None),
    ],
)
def test_whatever_name_a_browser_has_it_is_passed_on(make_auth: MakeAuth, given: str | bytes, told: str | None) -> None:
    """The service leaves out what cannot be printed, or takes the request for none: that is no error of the program."""
    auth, other = make_auth(headers={"User-Agent": given}), make_auth()
    email = sign_in(other)
    try:
        auth.sign_in(PASSWORD, email=email)
    except AuthError:
        assert told is None
    else:
        (session,) = [session for session in auth.sessions() if session["current"]]
        assert session["user_agent"] == told


@pytest.mark.parametrize(
    "headers",
    [{"X-Of": value} for value in ("a\r\nB: c", "a\n", "a\rb", "\0", "a\x0bb", b"a\nb", None, 3)]
    + [{name: "x"} for name in ("", "X Of", "X-Of:", "X-Öf", "X\r\nOf")],
    ids=repr,
)
def test_a_header_that_cannot_be_sent_is_refused_at_once(make_auth: MakeAuth, headers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="header"):
        make_auth(headers=headers)


def test_a_header_of_the_protocol_is_sent_once(auth_double: Double) -> None:
    sent: list[list[str]] = []
    hooks = {"request": [lambda request: sent.append(request.headers.get_list("Authorization"))]}
    with httpx2.Client(event_hooks=hooks) as http:
        auth = AuthClient(auth_double.url, http=http, headers={"authorization": "Basic eA=="})
        sign_in(auth)
        assert auth.account()
    assert [len(values) for values in sent] == [1] * len(sent)


def test_an_asynchronous_store_is_held_and_kept_as_the_other_is(auth_double: Double) -> None:
    kept: dict[str, Any] = {}

    class Row:
        @asynccontextmanager
        async def open(self) -> AsyncIterator[dict[str, Any]]:
            saved = dict(kept)
            yield saved
            kept.clear()
            kept.update(saved)

    async def journey() -> None:
        async with AsyncAuthClient(auth_double.url, Row()) as auth:
            await auth.sign_up("row@example.com", PASSWORD)
            await auth.sign_in(PASSWORD, email="row@example.com")
            kept["issued_at"] -= 3600
            assert (await auth.account())["email"] == "row@example.com"
            assert await auth.sign_out()

    asyncio.run(journey())
    assert kept == {}


@pytest.mark.parametrize("date", ["soon", "", "Mon, 99 Foo 2026"])
def test_a_date_that_is_none_counts_for_nothing(date: str) -> None:
    store = MemoryStore()
    answer = httpx2.Response(200, json=TOKENS, headers={"Date": date})
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as http:
        auth = AuthClient("https://auth.example.com", store, http)
        auth.sign_in(PASSWORD, email="ada@example.com")
        assert auth.access_token() == "new"


def test_no_password_and_no_token_is_in_what_a_debugger_shows() -> None:
    asked = Ask("POST", "/auth/login", {"password": PASSWORD}, {"Authorization": "Bearer eyJ"})
    assert PASSWORD not in repr(asked)
    assert "eyJ" not in repr(asked)


@pytest.mark.parametrize(
    "no_id", [".", "..", "", "../me", "a/b", "%2e%2e", "%2Fme", "a?b", "a#b", "..\\me", " ", "a\n"]
)
def test_no_id_leads_to_another_path(auth: Any, no_id: str) -> None:
    for call in (auth.end_session, auth.remove_factor):
        with pytest.raises(ValueError, match="no id"):
            call(no_id)
    for call, more in ((auth.confirm_totp, "123456"), (auth.rename_passkey, "phone")):
        with pytest.raises(ValueError, match="no id"):
            call(no_id, more)


WRONG_ARGUMENTS = {
    "method": ("G ET", "", "GET\r\n", "GET /x\r\nX: y", "PÖST", None, 3, b"GET"),
    "path": ("me", "", "/a\r\nX: y", "/\ud800", None, 3, b"/auth/me", ["/auth/me"]),
    "token": ("a\r\nX: y", "a\n", "a b", " ", "tökn", "\ud800", 3, b"a"),
}


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name, all_wrong in WRONG_ARGUMENTS.items() for wrong in all_wrong], ids=repr
)
def test_a_wrong_argument_is_no_outage(make_auth: MakeAuth, name: str, wrong: Any) -> None:
    store = MemoryStore()
    with store.open() as saved:
        saved.update({**OLD, "issued_at": time.time()})
    right: dict[str, Any] = {"method": "GET", "path": "/auth/me"}
    with pytest.raises(ValueError, match=name) as raised:
        make_auth(store).request(**{**right, name: wrong})
    assert "X: y" not in str(raised.value)


def test_a_token_that_cannot_be_sent_is_no_outage_for_any_method(auth: Any) -> None:
    for call in (auth.add_totp, auth.remove_password, auth.end_other_sessions, auth.new_recovery_codes):
        with pytest.raises(ValueError, match="no token"):
            call(token="a\nb")
    for no_id in (None, 3, b"a"):
        with pytest.raises(ValueError, match="no id"):
            auth.end_session(no_id)


@pytest.mark.parametrize("life", [0.001, 1])
def test_a_token_with_a_short_life_is_used_once_it_has_come(life: float) -> None:
    store, asked = MemoryStore(), []

    def answered(_request: httpx2.Request) -> httpx2.Response:
        asked.append(1)
        tokens = {**TOKENS, "access_token": f"new{len(asked)}", "expires_in": life}
        return httpx2.Response(200, json=tokens, headers={"Date": format_datetime(datetime.now(UTC), usegmt=True)})

    with store.open() as saved:
        saved.update(OLD)
    with httpx2.Client(transport=httpx2.MockTransport(answered)) as http:
        auth = AuthClient("https://auth.example.com", store, http, patience=1)
        assert [auth.access_token(), auth.access_token("new1")] == ["new1", "new2"]


@pytest.mark.parametrize("key", [3, "", "a\nb", "\ud800", None, []])
def test_a_key_that_cannot_be_sent_is_replaced(make_auth: MakeAuth, key: object) -> None:
    store = MemoryStore()
    auth = make_auth(store)
    sign_in(auth)
    age(store)
    with store.open() as saved:
        saved["key"] = key
    assert auth.access_token()
