"""The test double for authors of clients: what it can be made to do, and that it is the service otherwise."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from auth_service.testing.double import Double
from tests.support.client import PASSWORD


@pytest.fixture
def client(auth_double: Double) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=auth_double.url) as made:
        yield made


def sign_in(client: httpx2.Client) -> dict[str, Any]:
    account = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    client.post("/auth/register", json=account).raise_for_status()
    tokens: dict[str, Any] = client.post("/auth/login", json=account).raise_for_status().json()
    return tokens


def refresh(client: httpx2.Client, tokens: dict[str, Any]) -> httpx2.Response:
    return client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def me(client: httpx2.Client, tokens: dict[str, Any]) -> int:
    return client.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}).status_code


def test_an_answer_is_lost_after_the_work_was_done(client: httpx2.Client, auth_double: Double) -> None:
    tokens = sign_in(client)
    auth_double.switch_faults({"fault": "lose-answer"})
    with pytest.raises(httpx2.TransportError):
        refresh(client, tokens)
    again = refresh(client, tokens).raise_for_status().json()
    assert again["refresh_token"] != tokens["refresh_token"]
    auth_double.set_clock(31)
    assert refresh(client, tokens).status_code == 401, "the token was used by the request whose answer was lost"


def test_a_request_is_lost_before_any_work_was_done(client: httpx2.Client, auth_double: Double) -> None:
    account = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    auth_double.switch_faults({"route": "POST /auth/register", "fault": "lose-request"})
    with pytest.raises(httpx2.TransportError):
        client.post("/auth/register", json=account)
    assert client.post("/auth/login", json=account).status_code == 401
    assert client.post("/auth/register", json=account).status_code == 201


def test_time_passes_while_an_answer_is_lost(client: httpx2.Client, auth_double: Double) -> None:
    tokens = sign_in(client)
    auth_double.switch_faults({"fault": "lose-answer", "jump": 31})
    with pytest.raises(httpx2.TransportError):
        refresh(client, tokens)
    assert refresh(client, tokens).status_code == 401, "the grace is over"


def test_it_is_unavailable_as_often_as_it_is_told(client: httpx2.Client, auth_double: Double) -> None:
    tokens = sign_in(client)
    auth_double.switch_faults({"fault": "unavailable", "times": 2, "seconds": 7})
    answers = [refresh(client, tokens) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[0].json()["code"] == "unavailable"


@pytest.mark.parametrize("fault", ["delay", "delay-answer"])
def test_it_is_slow_before_and_after_its_work(client: httpx2.Client, auth_double: Double, fault: str) -> None:
    tokens = sign_in(client)
    auth_double.switch_faults({"fault": fault, "seconds": 0.3})
    started = time.monotonic()
    assert refresh(client, tokens).status_code == 200
    assert time.monotonic() - started >= 0.3


def test_faults_meet_their_share_of_the_requests_until_they_are_switched_off(
    client: httpx2.Client, auth_double: Double
) -> None:
    tokens = sign_in(client)
    auth_double.switch_faults({"fault": "unavailable", "times": None, "share": 0.5})
    seen = [refresh(client, tokens).status_code for _ in range(40)]
    assert 5 < seen.count(503) < 35
    auth_double.switch_faults()
    assert {refresh(client, tokens).status_code for _ in range(10)} == {200}


def test_its_clock_can_be_set_forward_and_back(client: httpx2.Client, auth_double: Double) -> None:
    tokens = sign_in(client)
    assert me(client, tokens) == 200
    auth_double.set_clock(600)
    assert me(client, tokens) == 401, "the access token has expired"
    answer = refresh(client, tokens).raise_for_status()
    assert 590 < parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time() < 610
    later = answer.json()
    assert me(client, later) == 200
    auth_double.set_clock(15 * 86_400)
    assert refresh(client, later).status_code == 401, "nobody used the session for two weeks"


def test_what_is_no_fault_is_refused_with_a_reason(auth_double: Double) -> None:
    for wrong in ({"fault": "explode"}, {"fault": "delay", "for": 1}, {"fault": "delay", "route": "/auth/refresh"}):
        with pytest.raises(ValueError, match=r"loc"):
            auth_double.switch_faults(wrong)


def test_with_a_file_a_killed_one_comes_back_with_its_sessions(tmp_path: Path) -> None:
    file = tmp_path / "double.db"
    with Double(file=file) as first, httpx2.Client(base_url=first.url) as client:
        tokens = sign_in(client)
        first.kill()
    with Double(file=file) as second, httpx2.Client(base_url=second.url) as client:
        assert refresh(client, tokens).status_code == 200


def test_any_page_that_a_browser_has_may_call_it_also_one_that_can_have_no_passkeys() -> None:
    pages = ["http://127.0.0.1:5173", "http://[::1]:5173", "http://192.168.1.5", "http://x.localhost", "https://[::fe]",
             "capacitor://localhost", "https://app.example.com", "http://localhost:5173"]  # fmt: skip
    with Double(origins=pages) as double:
        for page in pages:
            answer = httpx2.get(f"{double.url}/.well-known/jwks.json", headers={"Origin": page})
            assert answer.headers["Access-Control-Allow-Origin"] in {page, "*"}, page
            double.switch_faults({"fault": "unavailable", "seconds": 7})
            refused, told = (
                httpx2.post(f"{double.url}/auth/refresh", json={}, headers={"Origin": page}) for _ in range(2)
            )
            assert (refused.status_code, refused.headers["Retry-After"], told.status_code) == (503, "7", 422)
            for name in ("Allow-Origin", "Allow-Credentials", "Expose-Headers"):
                assert refused.headers[f"Access-Control-{name}"] == told.headers[f"Access-Control-{name}"], page
        double.switch_faults({"fault": "unavailable"})
        stranger = httpx2.post(f"{double.url}/auth/refresh", json={}, headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in stranger.headers
        assert httpx2.post(f"{double.url}/auth/passkeys/options", json={}).is_success


def test_one_that_cannot_start_says_so(auth_double: Double, capfd: pytest.CaptureFixture[str]) -> None:
    taken = int(auth_double.url.rpartition(":")[2])
    with pytest.raises(RuntimeError, match="did not start"):
        Double(port=taken)
    told = capfd.readouterr().err
    assert "in use" in told
    assert "Traceback" not in told


def test_what_is_no_setting_is_named_and_never_ignored() -> None:
    names = ["ACCESS_LIFETIME", "AUTH_COOKIE", "AUTH_SECRET_KEY_FILE", "AUTH_TOKENS", "NOPE"]
    command = [sys.executable, "-m", "auth_service", "double", "--port=0", *(f"--set={name}=secret" for name in names)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.findall(r"(\w+): is ", ended.stderr) == names
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr
