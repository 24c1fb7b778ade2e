"""Without the service nobody gets in, everybody is told to come again, and it works again by itself."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.support.echo_upstream import EchoUpstream
from tests.support.gateway_places import INTERNAL_TOKEN, Fleet, Place, Service, User
from tests.support.gateways import Kind
from tests.support.server import wait_until


def status(place: Place, path: str, headers: dict[str, str] | None = None) -> int:
    return place.client.get(path, headers=headers).status_code


def assert_closed(place: Place, ada: User, mark: str) -> None:
    for headers in (ada.headers, {}):
        for path in (f"/app/{mark}", f"/app/admin/{mark}", "/auth/me"):
            answer = place.client.get(path, headers=headers)
            assert answer.status_code in place.kind.without_service, (place.kind.name, path)
            if place.kind.without_service == {503}:
                assert (answer.headers["retry-after"], answer.json()["code"]) == ("1", "unavailable"), place.kind.name
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
        closed = client.place.kind.without_service
        expected = {("good", 200), ("none", 401)} | {(token, status) for token in ("good", "none") for status in closed}
        assert {("good", 200), ("none", 401)} < set(client.seen) <= expected, client.place.kind.name


def test_with_the_service_frozen_the_answer_is_503_and_never_a_way_in(
    fleet: Fleet, service: Service, ada: User, mark: str
) -> None:
    """All gateways at once, as each waits for some seconds."""
    places = fleet.all()
    with service.frozen(), ThreadPoolExecutor(len(places)) as threads:
        seen = list(threads.map(lambda place: status(place, f"/app/{mark}", ada.headers), places))
    assert all(answer in place.kind.without_service for answer, place in zip(seen, places, strict=True)), seen
    assert all(place.heard(mark) == [] for place in places)
    for place in places:
        assert_opens_again(place, ada)


@pytest.mark.parametrize("answer", [200, 302, 404, 407, 422, 500, 503])
def test_an_answer_that_verify_never_gives_lets_nobody_in(
    kind: Kind, fleet: Fleet, ada: User, mark: str, answer: int
) -> None:
    """Somebody else's server answers, for example because an address is wrong."""
    if answer == httpx.codes.OK and not kind.is_strict:
        pytest.skip(f"{kind.name} takes every 200 for a yes")
    with ExitStack() as stack:
        other = stack.enter_context(EchoUpstream(answer))
        place = fleet.start(kind, stack, auth_port=other.port)
        seen = place.client.get(f"/app/{mark}", headers={**ada.headers, "X-Auth-User": "root"})
        assert (seen.status_code, seen.headers.get("retry-after")) == (503, "1") or not kind.is_strict
        assert [got.target for got in other.received] == ["/internal/verify"]
        assert other.received[0].values("X-Internal-Token") == [INTERNAL_TOKEN]
        assert other.received[0].values("X-Auth-User") == []
        assert place.heard(mark) == []
