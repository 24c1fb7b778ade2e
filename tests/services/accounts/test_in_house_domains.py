"""In-house domains: taken by the embedded default, refused on PostgreSQL unless it is said, and the reason is true."""

from pathlib import Path

import pytest

from tests.conftest import MakeClient
from tests.support.accounts_files import lines, report
from tests.support.admins import Admin
from tests.support.databases import on_postgresql
from tests.support.operator import Operator
from tests.support.problems import assert_problem

in_memory = pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)

IN_HOUSE = [
    "ada@corp.local", "ada@local", "ada@mail.test", "ada@test", "ada@localhost", "ada@pc.localhost",
    "ada@box.localdomain", "ada@x.mail", "ada@x.web2",
    "ada@home.arpa", "ada@nas.home.arpa", "ada@x.internal", "ada@x.lan", "ada@x.corp", "ada@x.home", "ada@x.intranet",
    "ada@x.private", "ada@intranet", "ada@mailhost", "ada@CORP.LOCAL", "ada@b\u00fccher.lan",
]  # fmt: skip
NOWHERE = ["ada@x.invalid", "ada@invalid", "ada@x.onion", "ada@x.alt", "ada@1.0.0.127.in-addr.arpa", "ada@arpa"]
PUBLIC = [
    "ada@example.com", "ada@office.example", "ada@local.example", "ada@test.de", "ada@xn--p1ai.xn--p1ai",
    "ada@x.docker", "ada@x.k8s", "ada@mail.example.com", "ada@x.email", "ada@1.example.com", "ada@3com.com",
]  # fmt: skip
NO_DOMAINS = ["ada@10.0.0.1", "ada@10.1", "ada@1", "ada@x.1", "ada@0x7f.1", "ada@[10.0.0.1]", "ada@[IPv6:::1]"]
REASON = "in-house domains"


def reason(answer: object) -> str:
    (error,) = answer.json()["errors"]  # type: ignore[attr-defined]
    return f"{error['field']}: {error}"


@in_memory
async def test_the_embedded_default_takes_in_house_domains(make_client: MakeClient) -> None:
    client = await make_client(throttle={"enabled": False})
    for email in [*(set(IN_HOUSE) - {"ada@CORP.LOCAL"}), *PUBLIC]:
        assert (await client.register(email)).status_code == 201, email
    for email in NO_DOMAINS:
        assert "not an IP address" in reason(await client.register(email)), email


@on_postgresql
async def test_on_postgresql_they_are_refused_unless_it_is_said_and_sign_in_all_the_same(
    make_client: MakeClient,
) -> None:
    client = await make_client(throttle={"enabled": False})
    for email in IN_HOUSE:
        refused = await client.register(email)
        assert_problem(refused, 422, "validation-error")
        assert REASON in reason(refused), email
    for email in PUBLIC:
        assert (await client.register(email)).status_code == 201, email
    for email in NO_DOMAINS:
        assert "not an IP address" in reason(await client.register(email)), email
    said = await make_client(registration={"in_house_domains": True})
    assert (await said.register("ada@corp.local")).status_code == 201
    await client.sign_in("ada@corp.local")


@in_memory
@pytest.mark.parametrize("taken", [True, False])
async def test_where_there_is_no_mail_for_anybody_is_no_address_in_any_house(
    make_client: MakeClient, *, taken: bool
) -> None:
    client = await make_client(registration={"in_house_domains": taken})
    for email in NOWHERE:
        refused = await client.register(email)
        assert_problem(refused, 422, "validation-error")
        assert "No mail can reach" in reason(refused), email


@in_memory
async def test_owners_and_administrators_get_the_same_answer(make_client: MakeClient) -> None:
    client = await make_client(registration={"in_house_domains": False}, throttle={"enabled": False})
    admin = await Admin.of(client)
    user_id = (await client.register("grace@example.com")).json()["id"]
    token = (await client.sign_in("grace@example.com"))["access_token"]
    for refused in (
        await client.change_email(token, "grace@x.lan"),
        await admin.call("POST", json={"email": "linus@x.lan"}),
        await admin.call("POST", f"/{user_id}/email", json={"email": "grace@x.lan"}),
    ):
        assert_problem(refused, 422, "validation-error")
        assert REASON in reason(refused)


def test_operators_and_imports_do_too(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/auth.db", tmp_path)
    operator.run("migrate")
    operator.run("users", "create", "ada@x.lan", "--no-password")
    operator.settings["AUTH_REGISTRATION__IN_HOUSE_DOMAINS"] = "false"
    assert REASON in operator.run("users", "create", "bob@x.lan", "--no-password", code=1).stderr
    assert REASON in operator.run("users", "set-email", "ada@x.lan", "ada@y.lan", code=1).stderr
    operator.run("users", "set-email", "ada@x.lan", "ada@example.com")
    file = operator.write("in.jsonl", lines({"email": "a@x.lan"}, {"email": "b@x.invalid"}, {"email": "c@example.com"}))
    found = report(operator, file, code=1)
    assert (found["imported"], found["refused"]) == (1, 2)
    assert REASON in operator.run("users", "import", file, code=1).stderr
