"""The main job through the user's door, on every database."""

from tests.support.client import PASSWORD, Client


async def test_register_login_refresh_me_and_logout(client: Client) -> None:
    registered = await client.register("Ada@Example.com", PASSWORD, "Ada")
    assert registered.status_code == 201
    account = registered.json()
    assert account["email"] == "Ada@Example.com"
    assert account["role"] == "user"
    assert account["is_active"] is True
    assert account["is_verified"] is False
    assert account["last_login_at"] is None

    tokens = await client.sign_in("ada@example.com")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 300
    assert 14 * 86400 - 5 <= tokens["refresh_expires_in"] <= 14 * 86400

    me = await client.me(tokens["access_token"])
    assert me.status_code == 200
    assert me.json()["id"] == account["id"]
    assert me.json()["last_login_at"] is not None

    newer = await client.rotate(tokens["refresh_token"])
    assert newer["refresh_token"] != tokens["refresh_token"]
    assert newer["session_id"] == tokens["session_id"]

    assert (await client.logout(newer["refresh_token"])).status_code == 204
    assert (await client.refresh(newer["refresh_token"])).status_code == 401
    assert (await client.me(newer["access_token"])).status_code == 401


async def test_login_with_a_username(ada: Client) -> None:
    answer = await ada.post("/auth/login", json={"username": "ADA", "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_an_address_is_registered_once_whatever_its_spelling(ada: Client) -> None:
    answer = await ada.register("ADA@EXAMPLE.com")
    assert answer.status_code == 409
    assert answer.json()["code"] == "account-exists"
    assert answer.json()["detail"] == "Email or username already registered"


async def test_a_username_is_registered_once_whatever_its_spelling(ada: Client) -> None:
    answer = await ada.register("other@example.com", PASSWORD, "aDA")
    assert answer.status_code == 409
    assert answer.json()["code"] == "account-exists"


async def test_a_wrong_password_and_an_unknown_account_get_the_same_401(ada: Client) -> None:
    wrong = await ada.login(password=PASSWORD + "!")
    unknown = await ada.login(email="nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}


async def test_sessions_of_one_user_are_independent(ada: Client) -> None:
    laptop, phone = await ada.sign_in(), await ada.sign_in()
    assert laptop["session_id"] != phone["session_id"]
    await ada.logout(laptop["refresh_token"])
    assert (await ada.me(phone["access_token"])).status_code == 200
    assert (await ada.refresh(phone["refresh_token"])).status_code == 200


async def test_the_key_set_verifies_and_is_cached_by_its_etag(client: Client) -> None:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert key["kty"] == "EC"
    assert key["alg"] == "ES256"
    assert not {"d", "p", "q", "k"} & set(key)
    again = await client.get("/.well-known/jwks.json", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
