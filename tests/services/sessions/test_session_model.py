"""The rules about sessions as a small model, and random lives in which the real service must do what the model says.

Hypothesis chooses the steps (the same ones each time) and shrinks a life that goes wrong to its shortest form. Time
passes by dating the rows of a user back. The lengths of time are such that no sum of them comes near a limit.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select, update
from sqlmodel import SQLModel

from auth_service.main import create_app
from auth_service.services.accounts.status import set_account_active
from tests.conftest import make_settings
from tests.support.client import Client

GRACE, IDLE, LIFETIME = 30, 2 * 86400, 3 * 86400
KEY_WINDOW = 86400
FAST_FORWARD, MOST_ROTATIONS = 3, 60
MOST_SESSIONS = 4
PASSING = (7, 13, 31, 90_007)  # seconds; within the grace once or twice, beyond it, beyond the key's window

Result = TypeVar("Result")


class House:
    """The app on a SQLite in memory, on a loop of its own: hypothesis's steps are plain functions."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._numbers = itertools.count()
        self.client, self._database, self._revocations = self.do(self._open)

    def do(self, work: Callable[[], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            return await work()

        return self._runner.run(run())

    def close(self) -> None:
        self.do(self._stack.aclose)
        self._runner.close()

    def new_email(self) -> str:
        return f"user{next(self._numbers)}@example.com"

    def set_active(self, email: str, *, active: bool) -> None:
        """As the operator's command does it, beside the app; what the app's poll then does, at once."""
        self.do(lambda: set_account_active(self._database, email, active=active))
        self.do(self._revocations.read)

    def change_rows(self, session_ids: set[str], change: Callable[[Any], dict[str, Any]]) -> None:
        """Write into the rows of some sessions what is made of them."""
        self.do(lambda: self._change_rows(session_ids, change))

    async def _change_rows(self, session_ids: set[str], change: Callable[[Any], dict[str, Any]]) -> None:
        table = SQLModel.metadata.tables["refresh_tokens"]
        async with self._database.transaction() as tx:
            for row in (await tx.connection.execute(select(table))).all():
                if str(row.id) in session_ids:
                    await tx.connection.execute(update(table).where(table.c.id == row.id).values(change(row)))

    async def _open(self) -> tuple[Client, Any, Any]:
        tokens = {"refresh_grace": GRACE, "refresh_idle_lifetime": IDLE, "refresh_absolute_lifetime": LIFETIME}
        groups = {"tokens": tokens, "sessions": {"max_per_user": MOST_SESSIONS}, "log": {"level": "error"}}
        # The steps try wrong passwords and repeat refreshes as often as hypothesis likes.
        app = create_app(make_settings("sqlite+aiosqlite://", throttle={"enabled": False}, **groups))
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        client = Client(transport=httpx.ASGITransport(app=app), base_url="http://auth.example")
        services = app.state.services
        return await self._stack.enter_async_context(client), services.refresh._database, services.revocations


@dataclass
class Device:
    """A session in the model: DESIGN's rules in a few lines. `tokens` holds every generation's, `access` the newest."""

    id: str
    tokens: list[str]
    access: str
    now: int
    generation: int = 0
    rotations: list[int] = field(default_factory=list)
    key: str | None = None
    key_is_spent: bool = False
    reason: str | None = None

    def __post_init__(self) -> None:
        self.last_used, self.expires = self.now, self.now + LIFETIME

    def is_open(self, now: int) -> bool:
        """Whether an access token of it still counts."""
        return self.reason is None and now < self.expires

    def is_usable(self, now: int) -> bool:
        return self.is_open(now) and now < self.last_used + IDLE

    def refresh(self, generation: int, key: str | None, now: int) -> bool:
        """Whether a token is answered; changes what the service must change."""
        if not self.is_usable(now):
            return False
        behind = self.generation - generation
        if behind > 0:
            return self._repeat(behind, key, now)
        if -behind > FAST_FORWARD:
            return False
        if self._is_rotated_too_often(now):
            return True  # with the current token, and nothing is changed
        self.rotations = [now] * (1 - behind) + self.rotations
        self.generation, self.last_used = generation + 1, now
        # A key is good for one token: it stays known, so that it is not taken for a new one, until another comes.
        self.key, self.key_is_spent = key or self.key, key in {None, self.key}
        return True

    def _is_rotated_too_often(self, now: int) -> bool:
        return sum(now - time < GRACE for time in self.rotations) >= MOST_ROTATIONS

    def _repeat(self, behind: int, key: str | None, now: int) -> bool:
        """Within the grace, or the immediate parent with its own key; anything else is a theft and ends it."""
        age = now - self.rotations[behind - 1] if behind <= len(self.rotations) else None
        retried = behind == 1 and key is not None and key == self.key and not self.key_is_spent
        if age is not None and (age < GRACE or (retried and age < KEY_WINDOW)):
            return True
        self.reason = "reuse"
        return False

    def end(self, reason: str) -> None:
        self.reason = self.reason or reason


class Life(RuleBasedStateMachine):
    """One user, with devices, thieves, an operator and a database that forgets. Bound to the house by the test."""

    house: House

    @initialize()
    def register(self) -> None:
        self.email, self.now, self.password, self.active = self.house.new_email(), 0, 0, True
        self.devices: list[Device] = []
        self.reloaded = False
        assert self._ask(lambda c: c.register(self.email, self._secret())) == 201

    @rule(right=st.sampled_from([True, True, True, False]))
    def login(self, right: bool) -> None:
        secret = self._secret() if right else self._secret(self.password - 1)
        answer = self.house.do(lambda: self.house.client.login(self.email, secret))
        assert answer.status_code == (200 if right and self.active else 401)
        if answer.status_code == 200:
            self._enter(answer.json())
            self._evict()

    @precondition(lambda self: self.devices)
    @rule(
        which=st.integers(0, 99),
        back=st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 9]),
        key=st.sampled_from([None, "a", "b"]),
    )
    def refresh(self, which: int, back: int, key: str | None) -> None:
        """Use a token of any generation that was ever given out."""
        device = self._device(which)
        self._present(device, max(0, len(device.tokens) - 1 - back), key)

    @precondition(lambda self: self.devices)
    @rule(which=st.integers(0, 99), times=st.integers(1, 3), late=st.sampled_from(PASSING[:2]))
    def have_a_second_tab(self, which: int, times: int, late: int) -> None:
        """One tab refreshes once or several times; the other one's token is then spent, and within the grace good."""
        device = self._device(which)
        held = device.generation
        if device.is_usable(self.now) and held < len(device.tokens):
            assert all(self._present(device, device.generation, None) for _ in range(times))
            self.let_time_pass(late)
            assert self._present(device, held, None)
            assert self._present(device, device.generation, None), "nobody was signed out"

    @precondition(lambda self: self.devices and not self.reloaded)
    @rule(which=st.integers(0, 99), times=st.sampled_from([9, 9, 66]), late=st.sampled_from([0, *PASSING[:3]]))
    def reload(self, which: int, times: int, late: int) -> None:
        """A tab refreshes very often; then another brings the token from before, or a thief after the grace.

        Once in a life, since it takes its time.
        """
        device = self._device(which)
        held = device.generation
        if device.is_usable(self.now) and held < len(device.tokens):
            self.reloaded = True
            assert all(self._present(device, device.generation, None) for _ in range(times))
            self.let_time_pass(late)
            assert self._present(device, held, None) or late >= GRACE

    def _present(self, device: Device, generation: int, key: str | None) -> bool:
        """Refresh with a token; whether it is answered, which is as the model says."""
        answer = self.house.do(lambda: self.house.client.refresh(device.tokens[generation], key))
        expected = device.refresh(generation, key, self.now)
        assert answer.status_code == (200 if expected else 401), (generation, device)
        if expected:
            body = answer.json()
            device.access = body["access_token"]
            assert body["session_id"] == device.id
            # Whichever token it was: within the grace every spent one is answered with the current one.
            if device.generation < len(device.tokens):
                assert body["refresh_token"] == device.tokens[device.generation]
            else:
                assert device.generation == len(device.tokens)
                device.tokens.append(body["refresh_token"])
        return expected

    @precondition(lambda self: self.devices)
    @rule(which=st.integers(0, 99), back=st.integers(0, 3))
    def logout(self, which: int, back: int) -> None:
        """Any generation's token will do."""
        device = self._device(which)
        assert self._ask(lambda c: c.logout(device.tokens[max(0, len(device.tokens) - 1 - back)])) == 204
        device.end("logout")

    @precondition(lambda self: self.devices)
    @rule(which=st.integers(0, 99), right=st.sampled_from([True, True, False]))
    def change_password(self, which: int, right: bool) -> None:
        device = self._device(which)
        current = self._secret() if right else self._secret(self.password - 1)
        new = self._secret(self.password + 1)
        answer = self.house.do(lambda: self.house.client.change_password(device.access, current, new))
        assert answer.status_code == (200 if right and device.is_open(self.now) else 401)
        if answer.status_code == 200:
            self.password += 1
            for each in self.devices:
                each.end("password_changed")
            self._enter(answer.json())

    @precondition(lambda self: self.devices)
    @rule(which=st.integers(0, 99))
    def end_others(self, which: int) -> None:
        device = self._device(which)
        headers = {"Authorization": f"Bearer {device.access}"}
        status = self._ask(lambda c: c.delete("/auth/sessions", headers=headers))
        # The memory of the process knows of ends, not of expiries: the token itself has one.
        assert status == (204 if device.reason is None else 401)
        for other in self.devices:
            if status == 204 and other is not device:
                other.end("logout")

    @rule()
    def disable_and_enable(self) -> None:
        """Enabling is the other half of it; sessions stay dead."""
        self.active = not self.active
        self.house.set_active(self.email, active=self.active)
        for device in self.devices:
            device.end("user_disabled")

    @precondition(lambda self: self.devices)
    @rule(seconds=st.sampled_from(PASSING))
    def let_time_pass(self, seconds: int) -> None:
        self.now += seconds
        by = timedelta(seconds=seconds)

        def earlier(row: Any) -> dict[str, Any]:
            names = ("created_at", "last_used_at", "earlier_used_at", "expires_at")
            times = {name: time and time - by for name in names for time in [getattr(row, name)]}
            return times | {"rotations": [time - by for time in row.rotations]}

        self.house.change_rows({device.id for device in self.devices}, earlier)

    @precondition(lambda self: any(device.generation for device in self.devices))
    @rule(which=st.integers(0, 99), lost=st.integers(1, 5))
    def forget(self, which: int, lost: int) -> None:
        """A failover to a standby that had not heard of the last rotations."""
        device = self._device(which)
        lost = min(lost, device.generation)
        device.generation, device.rotations = device.generation - lost, device.rotations[lost:]

        def earlier(row: Any) -> dict[str, Any]:
            left = row.generation - lost
            return {"generation": left, "rotated_to": left, "rotations": row.rotations[lost:]}

        self.house.change_rows({device.id}, earlier)

    @precondition(lambda self: self.devices)
    @rule(which=st.integers(0, 99))
    def look(self, which: int) -> None:
        """The account is shown to a live session only, and its list says what the model says."""
        device = self._device(which)
        is_open = device.is_open(self.now)
        assert self._ask(lambda c: c.me(device.access)) == (200 if is_open else 401)
        if is_open:
            live = self.house.do(lambda: self.house.client.sessions(device.access))
            assert {item["id"] for item in live} == {d.id for d in self.devices if d.is_usable(self.now)}
            every = self.house.do(lambda: self.house.client.sessions(device.access, ended=True))
            told = {d.id: d.reason for d in self.devices if d.reason is None or self.now < d.expires}
            assert {item["id"]: item["ended_reason"] for item in every} == told

    def teardown(self) -> None:
        """Whatever the life was, its end is looked at."""
        for which in range(len(getattr(self, "devices", []))):
            self.look(which)

    def _enter(self, body: dict[str, Any]) -> None:
        self.devices.append(Device(body["session_id"], [body["refresh_token"]], body["access_token"], self.now))

    def _evict(self) -> None:
        kept = [device for device in self.devices if device.is_open(self.now)]
        for device in kept[:-MOST_SESSIONS]:
            device.end("evicted")

    def _device(self, which: int) -> Device:
        return self.devices[which % len(self.devices)]

    def _secret(self, number: int | None = None) -> str:
        return f"passphrase number {self.password if number is None else number}"

    def _ask(self, call: Callable[[Client], Awaitable[httpx.Response]]) -> int:
        return self.house.do(lambda: call(self.house.client)).status_code


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    opened = House()
    yield opened
    opened.close()


def test_random_lives_go_as_the_model_says(house: House) -> None:
    class Here(Life):
        pass

    Here.house = house
    steady = settings(
        max_examples=60,
        stateful_step_count=40,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=steady)
