"""A migration alters the types of columns while the service has statements prepared: whatever is asked for is done."""

from collections.abc import Awaitable

import httpx

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client, bearer
from tests.support.databases import on_postgresql
from tests.support.sql import run_sql

TOKEN = "for-the-inside-of-the-tests"
WIDER = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT table_name, column_name, data_type FROM information_schema.columns JOIN information_schema.tables
        USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
        AND data_type IN ('character varying', 'integer') AND table_name NOT LIKE 'audit%'
    LOOP BEGIN
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE %s', one.table_name, one.column_name,
            CASE one.data_type WHEN 'integer' THEN 'bigint' ELSE 'text' END);
    EXCEPTION WHEN feature_not_supported THEN NULL;  -- a trigger depends on it
    END; END LOOP;
END $$
"""


class Journey:
    """What an owner and an administrator ask for, and the status of each answer."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.statuses: dict[str, int] = {}

    async def note(self, name: str, asked: Awaitable[httpx.Response]) -> httpx.Response:
        answer = await asked
        self.statuses[name] = answer.status_code
        return answer

    async def of_owner(self, name: str) -> str:
        """Leave an account behind, with a session, and return its address."""
        client, email = self.client, f"{name}@example.com"
        await self.note("register", client.register(email, username=name))
        tokens = (await self.note("login", client.login(email))).json()
        await self.note("wrong password", client.login(email, "not-the-password-of-anybody"))
        tokens = (await self.note("refresh", client.refresh(tokens["refresh_token"]))).json()
        access_token = tokens["access_token"]
        await self.note("me", client.me(access_token))
        await self.note("sessions", client.get("/auth/sessions", headers=bearer(access_token)))
        await self.note("factors", client.get("/auth/me/factors", headers=bearer(access_token)))
        await self.note("app", client.begin_totp(access_token))
        await self.note("export", client.export(access_token))
        await self.note("rename", client.rename(access_token, f"{name}-too"))
        await self.note("step up", client.step_up(access_token, password=PASSWORD))
        tokens = (await self.note("password", client.change_password(access_token, PASSWORD, PASSWORD + "!"))).json()
        await self.note("verify", client.get("/internal/verify", headers=bearer(tokens["access_token"])))
        await self.note("introspect", client.post("/internal/introspect", data={"token": tokens["access_token"]}))
        await self.note("revocations", client.get("/internal/revocations"))
        await self.note("logout", client.logout(tokens["refresh_token"]))
        return email

    async def of_admin(self, email: str) -> None:
        client = self.client
        headers = bearer((await client.sign_in("root@example.com"))["access_token"])
        found = (await self.note("search", client.get("/admin/users", headers=headers, params={"q": email}))).json()
        path = f"/admin/users/{found['items'][0]['id']}"
        await self.note("counts", client.get("/admin/users/counts", headers=headers))
        await self.note("account", client.get(path, headers=headers))
        for word in ("disable", "enable"):
            await self.note(word, client.post(f"{path}/{word}", headers=headers))
        await self.note("end sessions", client.post(f"{path}/end-sessions", headers=headers))
        tokens = await client.sign_in(email, PASSWORD + "!")
        await self.note("delete", client.delete_account(tokens["access_token"], PASSWORD + "!"))
        await self.note("ready", client.get("/health/ready"))


async def statuses(client: Client, name: str) -> dict[str, int]:
    journey = Journey(client)
    await journey.of_admin(await journey.of_owner(name))
    return journey.statuses


@on_postgresql
async def test_whatever_is_asked_for_is_answered_as_before(make_client: MakeClient, database_url: str) -> None:
    client = await make_client(
        database={"pool_size": 1, "max_overflow": 0}, throttle={"enabled": False}, internal_token=TOKEN
    )
    client.headers["X-Internal-Token"] = TOKEN
    (await client.register("root@example.com")).raise_for_status()
    await run_sql(database_url, "UPDATE users SET role = 'admin'")
    before = await statuses(client, "first")
    assert {name for name, status in before.items() if status >= 400} == {"wrong password"}
    await run_sql(database_url, WIDER)
    assert await statuses(client, "second") == before
