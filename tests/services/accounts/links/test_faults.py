"""Why a link is refused is told to whoever has it, as far as it is known."""

import pytest

from auth_service.security.tokens.link_tokens import code_of_link_token, new_link_token
from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.link_mails import LinkMails
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

ADA, ELSEWHERE = "ada@example.com", "ada@example.org"
NEW = "another horse, another battery"

# What became of the account or of the link after it was sent, and what is then told of it.
EVENTS = {
    "UPDATE link_tokens SET used_at = created_at": "used",
    "UPDATE link_tokens SET expires_at = created_at": "expired",
    "UPDATE users SET is_active = false": "outdated",
    f"UPDATE users SET email = '{ELSEWHERE}', email_canonical = '{ELSEWHERE}'": "outdated",
    "UPDATE users SET is_verified = true, credential_epoch = credential_epoch + 1": "outdated",
    "DELETE FROM link_tokens": "unknown",
}


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_each_fault_of_a_link_has_its_word_and_its_sentence(
    make_client: MakeClient, mails: LinkMails, database_url: str
) -> None:
    ada = await make_client(**mails.settings, throttle={"enabled": False})
    await ada.register(ADA)
    sentences = set()
    for event, reason in EVENTS.items():
        await ada.forgot_password()
        token = await mails.token(ADA, "reset-password")
        await run_sql(database_url, event)
        answer = await ada.reset_password(token, NEW)
        assert_problem(answer, 400, "invalid-link")
        assert answer.json()["reason"] == reason, event
        sentences.add((reason, answer.json()["detail"]))
        await run_sql(
            database_url,
            "UPDATE users SET is_active = true, is_verified = false, email = $1, email_canonical = $1",
            ADA,
        )
    assert len(sentences) == len({sentence for _, sentence in sentences}) == 4
    for other in (new_link_token(), "lnk_", "nothing of ours"):
        assert (await ada.reset_password(other, NEW)).json()["reason"] == "unknown"


@pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
async def test_a_link_is_used_once_whether_by_its_token_or_by_its_code(ada: Client, mails: LinkMails) -> None:
    await ada.forgot_password()
    link = await mails.link(ADA, "reset-password")
    code = code_of_link_token(link.partition("#token=")[2])
    assert (await ada.reset_password(f"\n {code.lower()} \n", NEW)).status_code == 204
    for spelled in (link, code, link.partition("#token=")[2]):
        assert (await ada.reset_password(spelled, NEW)).json()["reason"] == "used"
