"""The arithmetic of the comparison, and what is made of it: nothing in here puts load on anything."""

import xml.etree.ElementTree as ET

import pytest

from bench import targets
from bench.contestants import BETTER_AUTH, FASTAPI_USERS, FLOOR, OURS
from bench.exchanges import CODE, VALUE, get, post
from bench.figures import Figures, Part
from bench.floors import HASHING
from bench.generator import Stretch, percentiles
from bench.hotspots import shares
from bench.machine import peers
from bench.pages import BLOCKS
from bench.plot import svg
from bench.regression import has_fallen
from bench.results import HEADLINE, Results
from bench.start import by_package, imported
from bench.targets import Target


def stretch(answers: int, cpu: float = 1.0, seconds: float = 2.0) -> Stretch:
    return Stretch(answers, seconds, cpu, 0.5, 1.0, 2.0, 3.0)


@pytest.fixture
def results() -> Results:
    """Three rounds on a machine whose speed changes: the ratio of the medians is not the median of the ratios."""
    found = Results()
    for ours, theirs in [(400, 100), (30, 10), (500, 300)]:
        found.add("login", OURS, HEADLINE, stretch(ours))
        found.add("login", FASTAPI_USERS, HEADLINE, stretch(theirs))
        found.add("login", HASHING, HEADLINE, stretch(2 * ours))
        found.add("verify", FLOOR, HEADLINE, stretch(ours, cpu=0.1))
    return found


def figures(results: Results) -> Figures:
    others = [((one.operation, OURS), (one.operation, one.name)) for one in results.series]
    more = {"generator_busy": {"verify": 0.25, "others": 0.1}, "loaded_mib": {OURS: 100.0}, "skipped": ["better_auth"]}
    machine = {"date": "2026-11-30", "commit": "f635e59", "load_average": "1.0", "cores": "2", "argon2": "portable"}
    return Figures({"compare": Part("python -m bench.compare", machine, results.figures(others) | more)})


def test_a_ratio_is_the_median_of_what_the_rounds_found(results: Results) -> None:
    assert results.ratio(("login", OURS), ("login", FASTAPI_USERS)) == 3.0


def test_a_ratio_to_who_did_not_take_part_is_none(results: Results) -> None:
    assert results.ratio(("login", OURS), ("login", BETTER_AUTH)) is None


def test_figures_of_a_stretch_are_by_the_second_and_by_the_cpu_second() -> None:
    one = stretch(100, cpu=0.5, seconds=2.0)
    assert (one.per_second, one.per_cpu_second, one.generator_share) == (50, 200, 0.25)


def test_percentiles_are_in_milliseconds_and_one_answer_is_all_of_them() -> None:
    assert percentiles([number / 1000 for number in range(101)]) == pytest.approx((50, 95, 99))
    assert percentiles([0.002]) == (2, 2, 2)


def test_the_page_says_of_each_target_whether_it_is_met(results: Results) -> None:
    made = BLOCKS["compare"](figures(results))
    assert "| login vs. fastapi-users | - | 3.00x | - |" in made
    assert "| login vs. threads that only hash | at least 0.85x | 0.50x | no: " in made
    assert "| login vs. better-auth | over 1x | - | not measured |" in made
    assert all(target.text in made for target in targets.COMPARE)


def test_a_figure_meets_the_bound_that_it_has_and_exceeds_only_what_it_has_to_exceed() -> None:
    def word(value: float, **bound: float) -> str:
        return Target("", lambda _: value, reason="why", **bound).verdict(Figures())  # type: ignore[arg-type]

    assert [word(value, least=2) for value in (1.9, 2, 3)] == ["no: why", "yes", "yes"]
    assert [word(value, above=2) for value in (1.9, 2, 3)] == ["no: why", "no: why", "yes"]
    assert [word(value, most=2) for value in (1.9, 2, 3)] == ["yes", "yes", "no: why"]


def test_a_figure_that_just_misses_its_bound_has_the_digits_that_show_it() -> None:
    near = Target("", lambda _: 0.8976, least=0.9, reason="why")
    assert (near.reached(Figures()), near.verdict(Figures())) == ("0.8976x", "no: why")


def test_the_page_says_who_is_left_out_how_busy_the_generator_was_and_where_it_was_measured(results: Results) -> None:
    made = " ".join(BLOCKS["compare"](figures(results)).split())
    assert "Left out: better_auth." in made
    assert "at most 25% of one core for verify and the bare route, and 10% for the others" in made
    assert "on 2026-11-30, commit f635e59: load average 1.0, cores 2, argon2 portable." in made


def test_the_page_says_which_build_of_argon2_everybody_had(results: Results) -> None:
    made = " ".join(BLOCKS["compare"](figures(results)).split())
    assert "Builds of Argon2: portable for this service (x86-64-v3 in the container) and the hashing threads" in made


def test_the_plot_is_xml_with_a_bar_for_each_contestant_the_longest_for_the_fastest(results: Results) -> None:
    space = "{http://www.w3.org/2000/svg}"
    drawn = ET.fromstring(svg(figures(results)))  # noqa: S314  # our own
    widths = [int(bar.attrib["width"]) for bar in drawn.iter(f"{space}rect")]
    assert widths[0] == max(widths)
    assert widths == [440, 220, 55, 440]
    assert {OURS, FASTAPI_USERS, HASHING, FLOOR} <= {text.text for text in drawn.iter(f"{space}text")}


def test_a_request_has_the_value_in_its_place_and_the_length_of_its_body() -> None:
    asked = post("/login", {"email": VALUE, "password": "p q"}, form=True).render("ada@example.com")
    assert asked.endswith(b"Content-Length: 34\r\n\r\nemail=ada@example.com&password=p+q")
    assert get("/me", f"Cookie: {VALUE}").render("a=b") == b"GET /me HTTP/1.1\r\nHost: bench\r\nCookie: a=b\r\n\r\n"


def test_a_ratio_has_fallen_when_it_is_below_six_tenths_of_the_one_that_is_kept() -> None:
    assert has_fallen(0.29, 0.5)
    assert not has_fallen(0.31, 0.5)


def test_the_versions_of_every_peer_are_read_from_its_lock() -> None:
    named = {"fastapi-users", "argon2-cffi-bindings", "django", "djangorestframework-simplejwt", "gunicorn"}
    assert named | {"better-auth", "@node-rs/argon2"} <= set(peers())


def test_a_function_that_is_twice_in_a_stack_is_counted_once() -> None:
    below, inside = shares({"b;a;a": 2, "a": 1})
    assert (below["a"], below["b"], inside["a"], inside["b"]) == (3, 2, 1, 2)


def test_imports_are_read_among_other_lines_and_added_up_by_package() -> None:
    said = """import time: self [us] | cumulative | imported package
import time:       100 |        100 |   jose.utils
{"event": "service.started"}
import time:        30 |        130 | jose
import time:         5 |          5 | json
"""
    modules = list(imported(said))
    assert [module.name for module in modules] == ["jose.utils", "jose", "json"]
    assert by_package(modules) == {"jose": 130, "json": 5}


def test_a_value_fills_two_places_if_a_space_parts_it() -> None:
    made = post("/", {"challenge": VALUE, "code": CODE}).render("chl_CODE 123456")
    assert made.endswith(b'Content-Length: 43\r\n\r\n{"challenge": "chl_CODE", "code": "123456"}')
