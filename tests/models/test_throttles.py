"""The rules about attempts, which need neither a clock nor a database."""

from datetime import timedelta

import pytest

from auth_service.models import growing_delays, network_of
from auth_service.services.throttling import token_bucket as pace
from auth_service.services.throttling.token_bucket import TokenBuckets

MINUTE, DAY = timedelta(minutes=1), timedelta(hours=24)


def test_delays_double_up_to_the_longest_and_end_in_the_hard_stop() -> None:
    seconds = [(failures, delay.total_seconds()) for failures, delay in growing_delays(5, timedelta(seconds=20))]
    assert seconds == [(5, 1), (6, 2), (7, 4), (8, 8), (9, 16), (10, 20), (50, 86400)]


@pytest.mark.parametrize("longest", [timedelta(seconds=1), MINUTE, 15 * MINUTE, DAY])
@pytest.mark.parametrize("free", [1, 5, 20])
def test_delays_never_shrink_and_the_hard_stop_is_always_the_last(free: int, longest: timedelta) -> None:
    delays = growing_delays(free, longest)
    assert [failures for failures, _ in delays] == sorted({failures for failures, _ in delays})
    assert [delay for _, delay in delays] == sorted(delay for _, delay in delays)
    assert delays[0] == (free, timedelta(seconds=1))
    assert delays[-1] == (50, DAY)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        (None, ""),
    ],
)
def test_a_network_is_an_ipv4_address_or_64_bits_of_ipv6(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_a_pace_lets_so_many_go_at_once_and_then_makes_the_next_wait() -> None:
    steps = TokenBuckets(10)
    assert [steps.take(b"one") for _ in range(10)] == [0] * 10
    wait = steps.take(b"one")
    assert 0 < wait <= 6
    assert [steps.is_news(b"one"), steps.is_news(b"one")] == [True, False]
    assert steps.take(b"two") == 0


def test_a_pace_remembers_a_bounded_number_of_keys() -> None:
    steps = TokenBuckets(10)
    for number in range(pace.MOST_REMEMBERED + 1000):
        steps.take(number.to_bytes(4, "big"))
    assert len(steps._full_at) <= pace.MOST_REMEMBERED
