"""The verdict of the benchmark of an hour: what counts as growth."""

from bench.soak import ALLOWED, EVERY, SIZES, Moment, growth


def moments(*sizes: float) -> list[Moment]:
    return [Moment(number * EVERY, {"Pss_Anon": size}, {}, 20, {}) for number, size in enumerate(sizes)]


def test_what_fills_up_in_the_first_half_is_no_growth() -> None:
    assert abs(growth(moments(*range(90, 120), *[120.0, 120.4] * 15), SIZES["server"])) < ALLOWED / 4


def test_what_goes_on_rising_is_growth_by_as_much() -> None:
    assert round(growth(moments(*[100.0] * 30, *range(100, 130)), SIZES["server"]), 6) == 29
