"""The checker of `make torture` sees each kind of violation in a history that has it, and none in one that has not."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from torture.checker import check, report
from torture.history import Account, Attempt, Event, Record, Row, Settings

SETTINGS = Settings(grace=4, access_lifetime=60, leeway=5, session_lifetime=120, stale_after=5)
CLOSED = 100.0


def attempt(op: str, start: float, status: int | None = 200, **more: Any) -> Attempt:
    """An attempt of the user ada that took a tenth of a second; its number is its time."""
    values: dict[str, Any] = {"by": "owner-1", "user": "ada", "session": "s", "id": f"{op}@{start}"} | more
    return Attempt(op=op, start=start, end=start + 0.1, status=status, **values)


def login(start: float = 1, session: str = "s", successor: str = "r0", **more: Any) -> Attempt:
    return attempt("login", start, session=session, successor=successor, next_generation=0, password=0, **more)


def refresh(start: float, token: str, successor: str | None = None, **more: Any) -> Attempt:
    """The digit in the name of a token is its generation."""
    values: dict[str, Any] = {"token": token, "generation": number(token), "successor": successor} | more
    values |= {"next_generation": number(successor) if successor else None}
    return attempt("refresh", start, 200 if successor else 401, **values)


def confirm(start: float, session: str = "mfa", **more: Any) -> Attempt:
    """The first factor of the account, which ends every session and opens another."""
    values: dict[str, Any] = {"code_used": "c0", "step": 1} | more
    return attempt("confirm-factor", start, session=session, successor="f0", next_generation=0, **values)


def second_step(start: float, code: str, session: str | None = None, **more: Any) -> Attempt:
    """The second step of a login; refused unless it opens a session."""
    values: dict[str, Any] = {"code_used": code, "challenge": f"of {start}", "step": 10} | more
    opened = {"successor": "z0", "next_generation": 0} if session else {}
    return attempt("second-step", start, 200 if session else 401, session=session, **opened, **values)


def number(token: str) -> int:
    return int("".join(c for c in token if c.isdigit()) or "0")


def thief(start: float, token: str, successor: str | None = None, session: str = "s") -> Attempt:
    return refresh(start, token, successor, by="thief-1", session=session)


def row(generation: int = 0, session: str = "s", **more: Any) -> Row:
    values: dict[str, Any] = {"attempt": "login@1", "alive": True, "reason": None} | more
    return Row(session=session, user="ada", generation=generation, **values)


def record(*attempts: Attempt, rows: Iterable[Row] = (), events: Iterable[Event] = (), **more: Any) -> Record:
    accounts = more.pop("accounts", [])
    values: dict[str, Any] = {"closed_at": CLOSED, "served": {}} | more
    return Record(SETTINGS, list(attempts), list(events), list(rows), accounts, **values)


def rules(found: Record) -> set[str]:
    return {violation.rule for violation in check(found)}


def clean() -> Record:
    """A life with everything that is allowed: lost answers, tabs, a theft that is caught, ends, and a ghost."""
    return record(
        attempt("register", 0, 201, session=None, password=0),
        login(1),
        attempt("refresh", 2, None, token="r0", generation=0, key="k0"),
        refresh(3, "r0", "r1", key="k0"),
        *(refresh(20, "r1", "r2", key="k1", id=f"tab{number}") for number in range(5)),
        refresh(40, "r1", "r2", key="k1", id="a lost answer, asked for again after the grace"),
        refresh(40.5, "r2", "r3"),
        refresh(42, "r2", "r3", by="tab-1", id="a second tab, within the grace"),
        attempt("me", 41, exp=61.0),
        attempt("me", 70, 401, exp=61.0),
        attempt("sessions", 42, exp=90.0, listed=("s",)),
        login(43, "stolen", "t0"),
        thief(44, "t0", "t1", "stolen"),
        refresh(49, "t0", session="stolen", key="x"),
        thief(50, "t1", session="stolen"),
        login(51, "out", "o0"),
        attempt("logout", 52, 204, session="out", token="o0"),
        attempt("sessions", 53, session="out", exp=90.0, by="probe-1"),
        refresh(54, "o0", session="out", by="probe-1"),
        attempt("login", 55, None, session=None, password=0),
        rows=[
            row(3),
            row(1, "stolen", attempt="login@43", alive=False, reason="reuse"),
            row(0, "out", attempt="login@51", alive=False, reason="logout"),
            row(0, "ghost", attempt="login@55"),
        ],
        accounts=[Account("ada", 0, True)],
    )


def test_a_life_with_everything_that_is_allowed_is_clean() -> None:
    assert check(clean()) == []


def test_an_honest_client_that_is_refused_is_a_spurious_logout() -> None:
    found = record(login(), refresh(2, "r0", "r1"), refresh(3, "r0"), rows=[row(1, alive=False, reason="reuse")])
    assert {"spurious logout", "wrong reason"} <= rules(found)


def test_a_refusal_has_an_excuse_only_if_the_trouble_came_before_it() -> None:
    late_logout = attempt("logout", 9, 204, token="r1")
    found = record(login(), refresh(2, "r0"), late_logout, rows=[row(alive=False, reason="logout")])
    assert "spurious logout" in rules(found)
    early_logout = attempt("logout", 1.5, None, token="r0")
    assert rules(record(login(), early_logout, refresh(2, "r0"), rows=[row(alive=False, reason="logout")])) == set()


def test_two_tokens_of_one_generation() -> None:
    assert "two branches" in rules(record(login(), refresh(2, "r0", "r1"), refresh(2.5, "r0", "x1"), rows=[row(1)]))


def test_a_second_tab_that_gets_a_token_which_is_spent_already() -> None:
    both = [login(), refresh(2, "r0", "r1"), refresh(3, "r1", "r2")]
    behind = record(*both, refresh(4, "r0", "r1", by="tab-1"), rows=[row(2)])
    assert rules(behind) == {"spent answer"}
    assert rules(record(*both, refresh(4, "r0", "r2", by="tab-1"), rows=[row(2)])) == set()
    assert "spent answer" in rules(record(*both, refresh(4, "r2", "r1"), rows=[row(3)]))


def test_a_token_that_is_answered_with_itself_although_the_session_was_not_rotated_too_often() -> None:
    life = [login(), *(refresh(2 + turn / 20, f"r{turn}", f"r{turn + 1}") for turn in range(60))]
    for last, start, expected in ((60, 6, set()), (60, 7, {"spent answer"}), (59, 6, {"spent answer"})):
        head = f"r{last}"
        same = refresh(start, head, head, id="the same again")
        assert rules(record(*life[: last + 1], same, rows=[row(last)])) == expected


def test_a_second_tab_is_refused_within_the_grace_and_may_be_after_it() -> None:
    ended = row(1, alive=False, reason="reuse")
    in_time = record(login(), refresh(2, "r0", "r1"), refresh(4, "r0", by="tab-1"), rows=[ended])
    assert "spurious logout" in rules(in_time)
    assert rules(record(login(), refresh(2, "r0", "r1"), refresh(7, "r0", by="tab-1"), rows=[ended])) == set()


def test_a_follower_from_elsewhere_is_answered_with_a_spent_token_and_within_the_grace() -> None:
    follower = refresh(3, "r0", "r1", by="follower-0")
    assert rules(record(login(), refresh(2, "r0", "r1"), follower, rows=[row(1)])) == {"unnoticed follower"}
    again = refresh(4, "r0", "r1", by="follower-0", id="from where he rotated it himself")
    assert rules(record(login(), follower, again, rows=[row(1)])) == set()


def test_a_list_that_tells_of_a_rotation_within_the_hour() -> None:
    before = attempt("sessions", 2, exp=50.0, listed=("s",), shown=("as it was",))
    after = attempt("sessions", 4, exp=50.0, listed=("s",), shown=("another",))
    life = [login(), before, refresh(3, "r0", "r1"), after]
    assert rules(record(*life, rows=[row(1)])) == {"telltale list"}


def test_a_token_that_no_login_led_to() -> None:
    assert "token of another chain" in rules(record(login(), refresh(2, "stranger", "r1"), rows=[row(1)]))


@pytest.mark.parametrize("op", ["refresh", "me"])
def test_life_after_an_acknowledged_logout(op: str) -> None:
    after = refresh(2.2, "r0", "r1", by="probe-1") if op == "refresh" else attempt("me", 2.2, by="probe-1", exp=50.0)
    found = record(login(), attempt("logout", 2, 204), after, rows=[row(1, alive=False, reason="logout")])
    assert rules(found) - {"wrong generation"} == {"life after the end"}


def password(start: float, session: str = "n", successor: str = "n0") -> Attempt:
    """A change of password, which answers with a new session."""
    return attempt("password", start, password=0, new_password=1, session=session, successor=successor)


def test_a_password_change_ends_every_session_but_the_one_that_it_opens() -> None:
    after = refresh(4, "n0", "n1", session="n"), refresh(4, "r0", "r1")
    rows = [row(1, alive=False, reason="password_changed"), row(1, "n", attempt="password@3")]
    found = record(login(), password(3), *after, rows=rows, accounts=[Account("ada", 1, True)])
    assert [(v.rule, v.attempts[-1]) for v in check(found)] == [("life after the end", "refresh@4")]
    assert ["of s was" in v.text for v in check(found)] == [True]


def test_a_refused_refresh_is_final_too() -> None:
    found = record(login(), thief(2, "r0"), refresh(3, "r0", "r1"), rows=[row(1, alive=False, reason="reuse")])
    assert "life after the end" in rules(found)


def test_an_access_token_is_accepted_for_two_seconds_after_the_end_and_longer_only_in_an_outage() -> None:
    def after(seconds: float, *events: Event) -> set[str]:
        look = attempt("sessions", 2.1 + seconds, by="probe-1", exp=50.0)
        ended = row(alive=False, reason="logout")
        return rules(record(login(), attempt("logout", 2, 204), look, rows=[ended], events=events))

    assert after(2.9) == set()
    assert after(3.1) == {"access after the end"}
    assert after(3.1, Event("freeze", 1, 1.5)) == set()
    assert after(6.1, Event("freeze", 1, 1.5)) == {"access after the end"}


def test_an_access_token_of_a_live_session_is_refused() -> None:
    refused = attempt("me", 2, 401, exp=50.0, kid="k")
    assert rules(record(login(), refused, rows=[row()])) == {"spurious 401"}
    assert rules(record(login(), refused, rows=[row()], events=[Event("revoke-key", 1.5, 3, "k")])) == set()


def test_an_expired_access_token_is_accepted() -> None:
    assert rules(record(login(), attempt("me", 56, exp=50.0), rows=[row()])) == {"expired access token"}


def test_the_list_of_sessions_misses_one_or_has_a_dead_one() -> None:
    missing = attempt("sessions", 2, exp=50.0, listed=())
    assert rules(record(login(), missing, rows=[row()])) == {"wrong list"}
    dead = [login(1.5, "out", "o0"), attempt("logout", 2, 204, session="out")]
    listed = attempt("sessions", 3, exp=50.0, listed=("s", "out"))
    rows = [row(), row(0, "out", attempt="login@1.5", alive=False, reason="logout")]
    assert rules(record(login(), *dead, listed, rows=rows)) == {"wrong list"}


@pytest.mark.parametrize("by", ["thief-1", "owner-1"])
def test_a_token_is_accepted_long_after_it_was_superseded(by: str) -> None:
    found = record(
        login(), thief(2, "r0", "r1"), refresh(2.5, "r1", "r2"), refresh(9, "r0", "r1", by=by, key="k"), rows=[row(2)]
    )
    assert "undetected theft" in rules(found)


def test_the_key_of_a_retry_excuses_no_token_that_is_two_behind() -> None:
    retries = [refresh(2, "r0", "r1", key="k"), refresh(10, "r0", "r1", key="k", id="retry")]
    assert rules(record(login(), *retries, rows=[row(1)])) == set()
    further = refresh(3, "r1", "r2", key="other")
    assert rules(record(login(), *retries, further, rows=[row(2)])) == {"undetected theft", "spent answer"}


def test_an_old_password_or_a_disabled_account_opens_a_session() -> None:
    known = record(login(), password(2), login(3, "o", "o0", by="probe-1"), rows=[row(), row(0, "n"), row(0, "o")])
    assert "old password" in rules(known)
    disabled = attempt("disable", 2, by="operator-0", session=None)
    assert "disabled account" in rules(record(login(), disabled, login(3, "n", "n0"), rows=[]))


def test_the_right_password_is_refused() -> None:
    registered = attempt("register", 0, 201, session=None, password=0)
    refused = attempt("login", 1, 401, session=None, password=0)
    assert rules(record(registered, refused, accounts=[Account("ada", 0, True)])) == {"refused login"}
    told = attempt("password", 2, 401, password=0, new_password=1, code="invalid-credentials")
    found = record(registered, login(), told, rows=[row()], accounts=[Account("ada", 0, True)])
    assert rules(found) == {"refused change"}


@pytest.mark.parametrize("status", [500, 422, 404])
def test_an_answer_that_makes_no_sense(status: int) -> None:
    assert "fault" in rules(record(login(), attempt("me", 2, status, exp=50.0, by="probe-1"), rows=[row()]))


def test_a_fault_that_only_the_log_tells() -> None:
    assert rules(record(login(), rows=[row()], served={"request.failed KeyError": 1})) == {"fault"}
    assert rules(record(login(), rows=[row()], served={"request.failed ClientDisconnect": 1})) == set()


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("lost session", []),
        ("ended for no reason", [row(1, alive=False, reason="logout")]),
        ("wrong reason", [row(1, alive=False, reason="evicted")]),
        ("wrong generation", [row(2)]),
        ("unknown session", [row(1), row(0, "stranger", attempt="nobody")]),
    ],
)
def test_a_row_that_differs_from_the_model(rule: str, rows: list[Row]) -> None:
    assert rule in rules(record(login(), refresh(2, "r0", "r1"), rows=rows))


def test_a_session_is_alive_after_its_end() -> None:
    assert rules(record(login(), attempt("logout", 2, 204), rows=[row()])) == {"alive after its end"}
    lost_login = attempt("login", 1, None, session=None, password=0)
    rows = [row(0, "ghost"), row(0, "n", attempt="password@20")]
    ghosts = record(lost_login, password(20), rows=rows, accounts=[Account("ada", 1, True)])
    assert rules(ghosts) == {"alive after its end"}


def test_an_account_differs_from_the_model() -> None:
    disabled = attempt("disable", 2, by="operator-0", session=None)
    assert rules(record(disabled, accounts=[Account("ada", 0, True)])) == {"wrong epoch", "wrong state"}
    assert rules(record(disabled, accounts=[Account("ada", 1, False)])) == set()
    registered = attempt("register", 0, 201, session=None, password=0)
    assert rules(record(registered)) == {"lost account"}


def test_a_run_without_an_end_and_a_commit_that_was_forgotten() -> None:
    assert rules(record(login(), closed_at=None)) == {"no end"}
    assert rules(record(login(), rows=[row()], served={"refresh.fast_forwarded": 1})) == {"forgotten commit"}


def test_a_life_with_a_second_factor_is_clean() -> None:
    asked = attempt("login", 10, 403, session=None, password=0, code="second-factor-required")
    found = record(
        attempt("register", 0, 201, session=None, password=0),
        login(1),
        confirm(5),
        refresh(8, "r0", by="probe-1"),
        asked,
        attempt("second-step", 11, None, session=None, code_used="c1", challenge="ch1", step=10),
        second_step(12, "c1", challenge="ch1"),
        second_step(13, "c2", "again"),
        second_step(14, "c2", by="thief-0"),
        rows=[
            row(0, alive=False, reason="factor_added"),
            row(0, "mfa", attempt="confirm-factor@5"),
            row(0, "ghost", attempt="second-step@11"),
            row(0, "again", attempt="second-step@13"),
        ],
        accounts=[Account("ada", 1, True)],
    )
    assert check(found) == []


def test_a_session_is_alive_that_was_there_before_the_first_factor() -> None:
    rows = [row(0, alive=True), row(0, "mfa", attempt="confirm-factor@5")]
    assert rules(record(login(), confirm(5), rows=rows)) == {"alive after its end"}
    used = record(login(), confirm(5), refresh(8, "r0", "r1", by="thief-0"), rows=[row(1, alive=False), rows[1]])
    assert rules(used) == {"life after the end"}


@pytest.mark.parametrize("by", ["owner-1", "thief-0"])
def test_a_password_alone_opens_a_session_of_an_account_with_a_second_factor(by: str) -> None:
    rows = [row(0, "mfa", attempt="confirm-factor@1"), row(0, "x", attempt="login@2")]
    found = record(confirm(1), login(2, "x", "x0", by=by), rows=rows)
    assert rules(found) == {"no code"}
    nobody_knows = attempt("login", 2, None, session=None, password=0, by=by)
    ghost = row(0, "x", attempt="login@2", without_code=True)
    assert rules(record(confirm(1), nobody_knows, rows=[rows[0], ghost])) == {"no code"}


@pytest.mark.parametrize("by", ["owner-1", "thief-0"])
def test_a_code_or_a_challenge_is_accepted_twice(by: str) -> None:
    rows = [row(0, "a", attempt="second-step@2"), row(0, "b", attempt="second-step@3")]
    for other, challenge in (("c1", "of 3"), ("c2", "of 2")):
        again = second_step(3, other, "b", challenge=challenge, by=by)
        assert rules(record(second_step(2, "c1", "a"), again, rows=rows)) == {"code used twice"}


def test_a_code_is_accepted_after_it_was_used_up_by_an_attempt_whose_answer_was_lost() -> None:
    lost = attempt("second-step", 2, None, session=None, code_used="c1", challenge="x", step=10)
    rows = [row(0, "a", attempt="second-step@2"), row(0, "b", attempt="second-step@3")]
    assert rules(record(lost, second_step(3, "c1", "b"), rows=rows)) == {"code used twice"}


def test_a_right_code_is_refused_that_nobody_has_used() -> None:
    assert rules(record(second_step(2, "c1"))) == {"refused code"}
    too_late = second_step(361, "c1")
    assert rules(record(too_late, closed_at=400.0)) == set()


def test_a_history_is_read_from_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[dict[str, Any]] = [
        {"what": "settings", **vars(SETTINGS), "seed": 1},
        {"what": "attempt", **{k: v for k, v in vars(login()).items() if v is not None}},
        {"what": "event", "name": "freeze", "start": 1, "end": 2, "kid": None, "failed": None},
        {"what": "row", **vars(row())},
        {"what": "closed", "at": CLOSED},
    ]
    file = tmp_path / "history.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert report(Record.read(file)) == 0
    assert "violations: 0" in capsys.readouterr().out
    file.write_text("".join(json.dumps(line) + "\n" for line in lines if line["what"] != "row"))
    assert report(Record.read(file)) == 1
    assert "VIOLATION lost session" in capsys.readouterr().out


def test_a_file_that_is_no_history(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    with pytest.raises(ValueError, match="no history"):
        Record.read(tmp_path / "empty")
