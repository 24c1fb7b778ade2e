"""A second factor through the user's door: the codes are made by oathtool, which is none of our libraries."""

import os
import shutil
import subprocess
import time

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client

NEEDED = "oathtool is not installed: apt-get install oathtool"


def code(secret: str, steps: int = 0) -> str:
    """What an app shows now, or so many steps later (RFC 6238)."""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() + 30 * steps))
    words = ["oathtool", "--totp", "--base32", f"--now={now}", secret]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def _oathtool() -> None:
    if shutil.which("oathtool") is None and not os.environ.get("CI"):
        pytest.skip(NEEDED)


async def test_add_an_app_sign_in_with_it_and_come_back_without_it(ada: Client) -> None:
    tokens = await ada.sign_in()
    made = (await ada.begin_totp(tokens["access_token"])).json()
    confirmed = await ada.confirm_totp(tokens["access_token"], made["id"], code(made["secret"], -1))
    mine = confirmed.raise_for_status().json()

    signed_in = await ada.second_factor(await ada.challenge(), code(made["secret"]))
    assert signed_in.status_code == 200
    assert (await ada.second_factor(await ada.challenge(), mine["recovery_codes"][0])).status_code == 200

    owner = signed_in.json()["access_token"]
    assert (await ada.remove_factor(owner, made["id"])).status_code == 204
    assert await ada.factors(owner) == {"items": [], "recovery_codes_left": 0}
    assert (await ada.login()).status_code == 200


async def test_a_role_that_must_have_a_factor_adds_it_at_the_login(make_client: MakeClient) -> None:
    client = await make_client(factors={"required_roles": ("user",)})
    (await client.register("ada@example.com", PASSWORD)).raise_for_status()
    challenge = await client.challenge()
    secret = (await client.begin_login_enrolment(challenge)).raise_for_status().json()["secret"]
    mine = await client.confirm_login_enrolment(challenge, code(secret, -1))
    assert len(mine.raise_for_status().json()["recovery_codes"]) == 10
    assert (await client.second_factor(await client.challenge(), code(secret))).status_code == 200
