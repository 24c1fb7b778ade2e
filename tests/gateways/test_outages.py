"""Without the service nobody gets in, everybody is told to come again, and it works again by itself."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.support.echo_upstream import EchoUpstream
from tests.support.gateways import Kind
from tests.support.server import wait_until

from .conftest import Fleet, Place, Service, User


def status(place: Place, path: str, headers: dict[str, str] | None = None) -> int:
    return place.client.get(path, headers=headers).status_code


def assert_closed(place: Place, ada: User, mark: str) -> None:
    for headers in (ada.headers, {}):
        for path in (f"/app/{mark}", f"/app/admin/{mark}", "/auth/me"):
            answer = place.client.get(path, headers=headers)
            said = (answer.status_code, answer.headers.get("retry-after"), answer.json()["code"])
            assert said == (503, "1", "unavailable"), (place.kind.name, path)
    assert place.heard(mark) == []


def assert_opens_again(place: Place, ada: User) -> None:
    for path in ("/app/x", "/auth/me"):
        wait_until(lambda path=path: status(place, path, ada.headers) == 200, 15, place.gateway.log)  # type: ignore[misc]
    assert status(place, "/app/x") == 401


class Asking:
    """What a client that asks again and again is answered, with a good token and without."""

    def __init__(self, place: Place, ada: User) -> None:
        self.place, self._headers = place, ada.headers
        self.seen: Counter[tuple[str, int]] = Counter()

    def ask(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self.place.gateway.base_url, trust_env=False, timeout=30) as client:
            while not stop.wait(0.02):
                self.seen["good", client.get("/app/x", headers=self._headers).status_code] += 1
                self.seen["none", client.get("/app/x").status_code] += 1


@contextmanager
def asking(places: list[Place], ada: User) -> Iterator[list[Asking]]:
    stop = threading.Event()
    clients = [Asking(place, ada) for place in places]
    threads = [threading.Thread(target=client.ask, args=[stop]) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def test_a_restart_of_the_service_is_a_time_of_503_and_nothing_else(
    fleet: Fleet, service: Service, ada: User, mark: str
) -> None:
    """All gateways at once, as starting the service takes a while."""
    places = fleet.all()
    with asking(places, ada) as clients:
        wait_until(lambda: all(client.seen["good", 200] for client in clients), 15, lambda: "no answer")
        service.stop()
        try:
            for place in places:
                assert_closed(place, ada, mark)
        finally:
            service.start()
        for place in places:
            assert_opens_again(place, ada)
    for client in clients:
        assert set(client.seen) == {("good", 200), ("good", 503), ("none", 401), ("none", 503)}, client.place.kind.name


def test_with_the_service_frozen_the_answer_is_503_and_never_a_way_in(
    fleet: Fleet, service: Service, ada: User, mark: str
) -> None:
    """All gateways at once, as each waits for some seconds."""
    places = fleet.all()
    with service.frozen(), ThreadPoolExecutor(len(places)) as threads:
        seen = list(threads.map(lambda place: status(place, f"/app/{mark}", ada.headers), places))
    assert seen == [503] * len(places)
    assert all(place.heard(mark) == [] for place in places)
    for place in places:
        assert_opens_again(place, ada)


@pytest.mark.parametrize("answer", [200, 302, 404, 407, 422, 500, 503])
def test_an_answer_that_verify_never_gives_lets_nobody_in(
    kind: Kind, fleet: Fleet, ada: User, mark: str, answer: int
) -> None:
    """Somebody else's server answers, for example because an address is wrong."""
    with ExitStack() as stack:
        other = stack.enter_context(EchoUpstream(answer))
        place = fleet.start(kind, stack, auth_port=other.port)
        seen = place.client.get(f"/app/{mark}", headers={**ada.headers, "X-Auth-User": "root"})
        assert (seen.status_code, seen.headers["retry-after"]) == (503, "1")
        assert [got.target for got in other.received] == ["/internal/verify"]
        assert place.heard(mark) == []
