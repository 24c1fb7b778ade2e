"""The hashes of other systems and of other days: they sign in once more and are then ours; the unreadable never do."""

import asyncio
import re
import time
import unicodedata

import asyncpg
import pytest
from argon2 import PasswordHasher
from django.contrib.auth.hashers import make_password
from passlib import hash as library
from passlib.hash import argon2
from pydantic import SecretStr

from auth_service.models import UNUSABLE
from auth_service.security.passwords.hash_costs import refuse_too_dear
from auth_service.security.passwords.hashing import Passwords
from auth_service.security.passwords.prepared_passwords import MissingSecretError
from auth_service.settings import PasswordSettings
from tests.conftest import FAST_HASHING, MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.foreign_hashes import BY_SYSTEM, FIREBASE, PEPPER, PUBLISHED, SIGNER_KEY, bcrypt_hash
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_one_database = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

CURRENT = re.compile(
    r"\$argon2id\$v=19\$m=64,t=1,p=1\$([A-Za-z0-9+/]+)\$[A-Za-z0-9+/]+"
)  # as tests/conftest.py sets it
UNREADABLE = [
    "", "plain text", "x" * 512, "\u00e4\u20ac", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$$",
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "$argon2id$v=99$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
    "$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
    "$2b$12$short", "$2b$99$" + "." * 53, "$pbkdf2-sha256$0$c2FsdA$aGFzaA", "$pbkdf2-sha256$x$y$z",
    "$scrypt$ln=99,r=8,p=1$c2FsdA$aGFzaA", "pbkdf2_sha256$$$", "argon2$argon2id$", "bcrypt$$2b$12$x", "md5$x$y",
    "$argon2id$v=19$m=64,t=1,p=1,data=YWJj$c2FsdHNhbHQ$" + "a" * 43, "$scrypt$x=1,y=2,z=3$c2FsdA$" + "a" * 43,
    "$7$x$y", "$7$a$b$c", "$7$26..../....salt",
    "$scrypt$ln=31,r=1073741823,p=1$c2FsdA$" + "a" * 43, "$firebase-scrypt$ln=14,r=8,ss=Bw$c2FsdA$aGFzaA",
    "$2b$04$" + "a" * 22, "$2x$04$" + "." * 53, "scrypt:3:8:1$salt$" + "a" * 64, "scrypt$1024$salt$8$1$short",
    "pbkdf2:md5:1000$salt$" + "a" * 32,
]  # fmt: skip


async def stored_hash(url: str) -> str:
    ((found,),) = await run_sql(url, "SELECT hashed_password FROM users")
    return str(found)


async def store_hash(url: str, hashed: str) -> None:
    await run_sql(url, "UPDATE users SET hashed_password = $1", hashed)


@on_one_database
@pytest.mark.parametrize("system", BY_SYSTEM)
async def test_a_hash_of_another_system_signs_in_once_and_is_then_ours(
    make_client: MakeClient, database_url: str, system: str
) -> None:
    client = await make_client(password={"firebase_signer_key": SIGNER_KEY, "imported_pepper": PEPPER})
    await client.register("ada@example.com")
    passwords = Passwords(make_password_settings(PEPPER))
    for kind, make in BY_SYSTEM[system].items():
        theirs = passwords.adopt(make(PASSWORD))
        await store_hash(database_url, theirs)
        assert_problem(await client.login(password=PASSWORD + "!"), 401, "invalid-credentials")
        assert await stored_hash(database_url) == theirs, kind
        assert (await client.login()).status_code == 200, kind
        ours = await stored_hash(database_url)
        assert CURRENT.fullmatch(ours), kind
        assert (await client.login()).status_code == 200, kind
        assert (await client.login(password=PASSWORD + "!")).status_code == 401, kind
        assert await stored_hash(database_url) == ours, kind


@on_one_database
async def test_the_published_hash_of_firebase_opens_to_its_password_alone_and_not_without_the_signer_key(
    make_client: MakeClient, database_url: str
) -> None:
    keys = (SIGNER_KEY, SIGNER_KEY.replace("jx", "xj", 1), None)
    client, *strangers = [
        await make_client(password={"firebase_signer_key": key}, throttle={"enabled": False}) for key in keys
    ]
    await client.register("ada@example.com")
    for password, theirs in FIREBASE.items():
        await store_hash(database_url, theirs)
        assert_problem(await client.login(password=password + "x"), 401, "invalid-credentials")
        for stranger in strangers:
            assert_problem(await stranger.login(password=password), 401, "invalid-credentials")
        assert (await client.login(password=password)).status_code == 200
        assert CURRENT.fullmatch(await stored_hash(database_url))


@on_one_database
@pytest.mark.parametrize("pepper", [None, PEPPER, "secret"])
async def test_a_hash_that_another_program_made_opens_to_its_password_alone_and_is_then_ours(
    make_client: MakeClient, database_url: str, pepper: str | None
) -> None:
    """As it is imported, and as it is; a peppered one with another pepper to none."""
    groups = {"password": {"imported_pepper": pepper}, "throttle": {"enabled": False}}
    client = await make_client(**groups)
    stranger = await make_client(**groups | {"password": {"imported_pepper": "another"}}) if pepper else None
    await client.register("ada@example.com")
    passwords = Passwords(make_password_settings(pepper))
    for row in (row for row in PUBLISHED if row.get("pepper") == pepper):
        adopted = passwords.adopt(row["hash"])
        assert passwords.adopt(adopted) == adopted, "what is exported can be imported"
        for theirs in {adopted, row["hash"]}:
            await store_hash(database_url, theirs)
            assert (await client.login(password=row["password"] + "x")).status_code == 401, row
            if stranger:
                assert (await stranger.login(password=row["password"])).status_code == 401, row
            assert await stored_hash(database_url) == theirs
            assert (await client.login(password=row["password"])).status_code == 200, row
            assert CURRENT.fullmatch(await stored_hash(database_url)), row
            assert (await client.login(password=row["password"])).status_code == 200, row


@pytest.mark.parametrize("marker", ["{devise}", "{flask-security}"])
def test_a_hash_that_was_made_with_a_pepper_is_not_adopted_without_it(marker: str) -> None:
    with pytest.raises(MissingSecretError, match="AUTH_PASSWORD__IMPORTED_PEPPER"):
        Passwords(make_password_settings(None)).adopt(marker + bcrypt_hash(PASSWORD))


@on_one_database
async def test_a_short_password_of_another_system_signs_in_although_nobody_may_choose_it_here(
    ada: Client, database_url: str
) -> None:
    await store_hash(database_url, bcrypt_hash("old"))
    assert (await ada.login(password="old")).status_code == 200
    assert CURRENT.fullmatch(await stored_hash(database_url))
    assert (await ada.login(password="old")).status_code == 200
    assert_problem(await ada.register("grace@example.com", "old"), 422, "password-too-short")


CURRENT_HASHER = PasswordHasher(memory_cost=64, time_cost=1, parallelism=1)
DECOMPOSED, COMPOSED = "mo\u0323\u0302t ma\u0323\u0302t kha\u0302\u0309u", "m\u1ed9t m\u1eadt kh\u1ea9u"


@on_one_database
@pytest.mark.parametrize("theirs", [DECOMPOSED, COMPOSED, "mo\u0302\u0323t mat khau"])
async def test_a_keyboard_that_sends_accents_apart_signs_in_with_the_hash_made_of_it_and_then_any_does(
    ada: Client, database_url: str, theirs: str
) -> None:
    await store_hash(database_url, bcrypt_hash(theirs))
    for other in (theirs + "\u0301", theirs.upper()):
        assert (await ada.login(password=other)).status_code == 401
    assert (await ada.login(password=theirs)).status_code == 200
    for spelling in (theirs, unicodedata.normalize("NFC", theirs), unicodedata.normalize("NFD", theirs)):
        assert (await ada.login(password=spelling)).status_code == 200
    # Of another system with our very parameters: nothing but its spelling tells it from ours.
    adopted = Passwords(make_password_settings(None)).adopt(CURRENT_HASHER.hash(theirs))
    await store_hash(database_url, adopted)
    assert (await ada.login(password=theirs)).status_code == 200
    assert CURRENT.fullmatch(await stored_hash(database_url))
    assert (await ada.login(password=unicodedata.normalize("NFD", theirs))).status_code == 200


# One password as people give it, each other's twin in one of the forms of Unicode.
GIVEN = {
    "a ligature": "\ufb01ne words of mine", "a number in a circle": "number \u2460 of us all",
    "wide letters": "\uff57\uff49\uff44\uff45 letters are here", "an accent": "caf\u00e9 au lait, please",
    "accents apart": DECOMPOSED, "accents in no order": "mo\u0302\u0323t mat khau", "a long s": "\u1e9b\u0323 of old",
    "Hangul apart": "\u1112\u1161\u11ab and more than that",
}  # fmt: skip
FORMS = {"NFC", "as given", "NFKC", "NFKD"}


def spelled(password: str, form: str) -> str:
    return password if form == "as given" else unicodedata.normalize(form, password)  # type: ignore[arg-type]


@on_one_database
async def test_a_hash_of_another_system_opens_in_each_of_four_spellings_and_our_own_in_nfc_alone(
    make_client: MakeClient, database_url: str
) -> None:
    ada = await make_client(throttle={"enabled": False})
    await ada.register("ada@example.com")
    for kind, given in GIVEN.items():
        for form in FORMS:
            await store_hash(database_url, bcrypt_hash(spelled(given, form)))
            assert (await ada.login(password=given)).status_code == 200, (kind, form)
            assert CURRENT.fullmatch(await stored_hash(database_url))
            assert (await ada.login(password=given)).status_code == 200, (kind, form)
            assert (await ada.login(password=unicodedata.normalize("NFD", given))).status_code == 200
            own = spelled(given, "NFC")
            other = unicodedata.normalize("NFKC", given)
            assert (await ada.login(password=other)).status_code == (200 if other == own else 401), kind
        for form in FORMS:
            await store_hash(database_url, CURRENT_HASHER.hash(spelled(given, form)))
            expected = 200 if spelled(given, form) == spelled(given, "NFC") else 401
            assert (await ada.login(password=given)).status_code == expected, (kind, form)
    await store_hash(database_url, bcrypt_hash(DECOMPOSED))
    assert (await ada.login(password=COMPOSED)).status_code == 200, "NFKD of what was given"


@on_one_database
async def test_an_attempt_in_four_spellings_is_one_attempt_and_one_turn_in_the_lane(
    ada: Client, database_url: str
) -> None:
    await store_hash(database_url, bcrypt_hash(PASSWORD))
    before = await turns(ada)
    fourfold = "not the passwo\u0308rd \ufb01\u00e9 at all"
    answers = [(await ada.login(password=fourfold)).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    assert await turns(ada) - before == 5


async def turns(client: Client) -> int:
    metrics = (await client.get("/metrics")).text
    found = re.search(r"^auth_hashing_seconds_count(?:{[^}]*})? (\d+)", metrics, re.MULTILINE)
    assert found
    return int(float(found[1]))


def test_an_attempt_costs_as_many_hashes_as_there_are_spellings_and_one_with_our_own_or_none(
    passwords: Passwords,
) -> None:
    for given in GIVEN.values():
        spellings = {spelled(given, form) for form in FORMS}
        assert set(passwords.comparison(given, bcrypt_hash("x")).spellings) == spellings
        assert len(passwords.comparison(given, bcrypt_hash("x")).spellings) == len(spellings)
        for stored in (passwords.hash("x"), None, UNUSABLE, "unreadable"):
            assert passwords.comparison(given, stored).spellings == (spelled(given, "NFC"),)
    assert passwords.comparison(PASSWORD, bcrypt_hash("x")).spellings == (PASSWORD,)


@on_one_database
@pytest.mark.parametrize("scheme", ["bcrypt", "Django bcrypt"])
async def test_a_bcrypt_hash_of_a_long_password_signs_in_and_then_covers_all_of_it(
    ada: Client, database_url: str, scheme: str
) -> None:
    long = "a" * 72 + "the rest that bcrypt never saw"
    await store_hash(database_url, ("bcrypt$" if scheme == "Django bcrypt" else "") + bcrypt_hash(long))
    assert (await ada.login(password="a" * 71 + "b" + long[72:])).status_code == 401
    assert (await ada.login(password=long)).status_code == 200
    assert CURRENT.fullmatch(await stored_hash(database_url))
    assert (await ada.login(password=long)).status_code == 200
    assert (await ada.login(password=long[:-1])).status_code == 401


def test_a_password_of_any_length_costs_no_more_than_one_of_512_bytes_where_each_round_hashes_it(
    passwords: Passwords,
) -> None:
    for scheme in (library.sha512_crypt.using(rounds=1000), library.md5_crypt, library.phpass.using(rounds=7)):
        longest = "x" * 512
        hashed = scheme.hash(longest)
        assert passwords.verify(longest, hashed)[0]
        for longer in (longest + "x", "x" * 4097):  # of which the library takes none
            assert not passwords.verify(longer, hashed)[0]
            assert not passwords.verify(longer, scheme.hash(longer[:4096]))[0]


@on_one_database
async def test_a_stored_hash_that_cannot_be_read_is_a_401(make_client: MakeClient, database_url: str) -> None:
    ada = await make_client(password={"firebase_signer_key": SIGNER_KEY}, throttle={"enabled": False})
    await ada.register("ada@example.com")
    for hashed in UNREADABLE:
        await store_hash(database_url, hashed)
        for password in ("x" * 100, hashed or "x"):
            assert_problem(await ada.login(password=password), 401, "invalid-credentials")
        assert await stored_hash(database_url) == hashed


@on_postgresql
async def test_ten_logins_at_once_move_on_from_an_outdated_hash(ada: Client, database_url: str) -> None:
    await store_hash(database_url, bcrypt_hash(PASSWORD))
    answers = await asyncio.gather(*(ada.login() for _ in range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert CURRENT.fullmatch(await stored_hash(database_url))
    assert (await ada.login()).status_code == 200


@on_postgresql
async def test_a_row_that_is_locked_neither_fails_nor_delays_a_login_with_an_outdated_hash(
    make_client: MakeClient, database_url: str
) -> None:
    ada = await make_client(database={"statement_timeout": 30})  # a login that waited would wait for 10 seconds
    await ada.register("ada@example.com")
    outdated = bcrypt_hash(PASSWORD)
    await store_hash(database_url, outdated)
    holder = await asyncpg.connect(database_url)
    try:
        async with holder.transaction():
            await holder.execute("SELECT * FROM users FOR SHARE")
            started = time.monotonic()
            assert (await ada.login()).status_code == 200
            assert time.monotonic() - started < 5
        assert await stored_hash(database_url) == outdated
    finally:
        await holder.close()
    assert (await ada.login()).status_code == 200
    assert CURRENT.fullmatch(await stored_hash(database_url))


def make_password_settings(pepper: str | None) -> PasswordSettings:
    secrets = {"firebase_signer_key": SecretStr(SIGNER_KEY), "imported_pepper": SecretStr(pepper) if pepper else None}
    return PasswordSettings(**FAST_HASHING, **secrets)


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(make_password_settings(PEPPER))


@pytest.mark.parametrize("system", BY_SYSTEM)
def test_the_hashes_of_other_systems_are_adopted_as_they_are_or_in_a_form_that_costs_and_opens_the_same(
    passwords: Passwords, system: str
) -> None:
    for make in BY_SYSTEM[system].values():
        theirs = make(PASSWORD)
        adopted = passwords.adopt(theirs)
        assert passwords.recipe(adopted) == passwords.recipe(theirs)
        assert passwords.is_outdated(adopted), "a login renews it, whatever its parameters"
        if theirs.startswith("$argon2id$"):
            assert adopted.startswith("argon2$argon2id$")
        else:
            assert adopted == theirs or "$" not in theirs


SUM = "a" * 43
NOT_STORABLE = [f"pbkdf2_sha256$1000$sa{sign}lt${SUM}=" for sign in ("\x00", "\ud800", "\n")]
NOT_COMPUTABLE = [f"$firebase-scrypt$ln={ln},r={r},ss=Bw$c2FsdA==${SIGNER_KEY}" for ln, r in ((0, 8), (14, 0))]
TOO_DEAR = [
    f"$argon2id$v=19$m=262145,t=1,p=1$c2FsdHNhbHQ${SUM}", f"$argon2id$v=19$m=262144,t=5,p=1$c2FsdHNhbHQ${SUM}",
    f"$argon2id$v=19$m=65536,t=1,p=65$c2FsdHNhbHQ${SUM}", "$2b$15$" + "." * 53, "bcrypt_sha256$$2b$15$" + "." * 53,
    f"pbkdf2_sha256$3000001$salt${SUM}=", f"$pbkdf2-sha512$3000001$c2FsdA${SUM}{SUM}", f"scrypt$524288$salt$8$1${SUM}=",
    f"$scrypt$ln=31,r=8,p=1$c2FsdA${SUM}", f"$scrypt$ln=18,r=8,p=3$c2FsdA${SUM}",
    f"$scrypt$ln=1,r=1,p=1073741823$c2FsdA${SUM}", f"$firebase-scrypt$ln=19,r=8,ss=Bw$c2FsdA==${SIGNER_KEY}",
    "scrypt:524288:8:1$salt$" + "a" * 128, "$6$rounds=700001$salt$" + "a" * 86, "$5$rounds=999999999$salt$" + "a" * 43,
    "$P$J" + "a" * 30, "$H$J" + "a" * 30, "$S$J" + "a" * 51, "{devise}$2b$15$" + "." * 53, "$wp$2y$15$" + "." * 53,
    "{bcrypt}$2a$15$" + "." * 53, f"$scrypt$ln=524288,r=8,p=1$c2FsdA${SUM}=", f"$s0$130801$c2FsdA${SUM}=",
    "AQAAAAIALcbBAAAAEAABAgMEBQYHCAkKCwwNDg/Q8A0WMKbtHQJQ2DHCdoEeeFBrgNlldq6vH4qX/CGqGQ==",
]  # fmt: skip


@pytest.mark.parametrize("hashed", [*UNREADABLE, *NOT_STORABLE, *NOT_COMPUTABLE, *TOO_DEAR, "x" * 513])
def test_a_hash_that_would_never_verify_or_at_too_high_a_price_is_not_adopted(
    passwords: Passwords, hashed: str
) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$") as refused:
        passwords.adopt(hashed)
    assert not hashed or hashed not in str(refused.value)
    assert hashed in UNREADABLE + NOT_STORABLE + NOT_COMPUTABLE or "at most" in str(refused.value)


FAULTS = {
    # what is said of a hash that no form fits: a part of the sentence, and hashes
    "bare MD5": ["5f4dcc3b5aa765d61d8327deb882cf99", "5F4DCC3B5AA765D61D8327DEB882CF99"],
    "bare SHA-1": ["5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8"],
    "bare SHA-2": ["a" * 64, "a" * 128],
    "bare digest": ["{MD5}X03MO1qnZdYdgyfeuILPmQ==", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "md5$salt$" + "a" * 32,
                    "sha1$salt$" + "a" * 40, "{SHA-256}{salt}" + "a" * 64],
    "the password itself": ["{noop}password"],
    "DES": ["rl.3StKT.4T8M", "{CRYPT}rl.3StKT.4T8M"],
    "yescrypt": ["$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"],
    "Supabase": ["$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=a2V5$c2FsdA==$aGFzaA=="],
    "60 characters: ": ["$2b$12$short", "{bcrypt}$2a$10$short", "$2y$10$" + "." * 52, "$2b$10$" + "." * 54],
    "This one has 59.": ["$2y$10$" + "." * 52],
    "$2x$": ["$2x$04$" + "." * 53],
    "An Argon2 hash has": ["$argon2id$v=19$m=64,t=1$c2FsdHNhbHQ$" + SUM, "argon2$argon2id$",
                           "$argon2id$v=1$m=64,t=1,p=1$c2FsdHNhbHQ$" + SUM,
                           "$argon2id$v=19$m=64,t=1,p=1,data=YWJj$c2FsdHNhbHQ$" + SUM],
    "A PBKDF2 hash has": ["pbkdf2_md5$1000$salt$aaaa", "$pbkdf2-sha384$1000$c2FsdA$aaaa", "pbkdf2_sha256$$$"],
    "A scrypt hash has": ["$scrypt$x=1$c2FsdA$aaaa", "scrypt$1024$salt"],
    "at least 16 bytes; this one has 4": ["pbkdf2_sha256$1000$salt$aGFzaA==", "$scrypt$ln=14,r=8,p=1$c2FsdA$aGFzaA"],
    "crypt has": ["$6$salt$short", "$5$rounds=x$salt$" + SUM, "{CRYPT}$9$x"],
    "phpass has 34": ["$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L"],
    "4 to 16 bytes": ["{SSHA}" + "a" * 8, "{SSHA}" + "a" * 80],
    "ASP.NET": ["ABCD" * 16, "AQAAAAMAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhw" * 2],
    "40 bytes; here, there are 3": ["{pbkdf2}abcdef"],
    "The scheme in braces": ["{unknown}x", "{}"],
    "is empty": [""],
    "not supported": ["plain text", "sha512:1:2", "\u00e4\u20ac"],
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hash_that_is_not_adopted_is_told_what_is_wrong_with_it(passwords: Passwords, fault: str) -> None:
    for hashed in FAULTS[fault]:
        with pytest.raises(ValueError, match=re.escape(fault)) as refused:
            passwords.adopt(hashed)
        assert not hashed or hashed not in str(refused.value)


def test_what_our_own_settings_cost_is_never_too_dear() -> None:
    dear = "$argon2id$v=19$m=524288,t=4,p=1$c2FsdHNhbHQ$" + SUM
    with pytest.raises(ValueError, match="at most"):
        refuse_too_dear(argon2.from_string(dear), own_kib=64, own_written_kib=64)
    refuse_too_dear(argon2.from_string(dear), own_kib=524288, own_written_kib=4 * 524288)


def test_a_hash_of_firebase_is_not_adopted_without_the_signer_key() -> None:
    with pytest.raises(ValueError, match="AUTH_PASSWORD__FIREBASE_SIGNER_KEY"):
        Passwords(PasswordSettings(**FAST_HASHING)).adopt(FIREBASE[PASSWORD])


@on_one_database
async def test_an_account_without_a_password_of_its_own_is_opened_by_none(
    ada: Client, database_url: str, passwords: Passwords
) -> None:
    (theirs,) = {passwords.adopt(made) for made in ("!", make_password(None))}
    assert theirs == UNUSABLE
    assert passwords.recipe(theirs) == passwords.recipe(None), "it costs what an unknown account costs"
    await store_hash(database_url, theirs)
    for password in (UNUSABLE, "x" * 40, PASSWORD):
        assert_problem(await ada.login(password=password), 401, "invalid-credentials")
