"""Letters of the world's scripts in usernames and e-mail addresses, with their marks and joiners, and what is none."""

import unicodedata

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem

in_memory = pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)

NAMES = {
    "German": ("Wei\u00df", "Gro\u1e9e", "M\u00fcller"),
    "Turkish": ("\u0130brahim", "I\u015f\u0131k"),
    "Nordic": ("\u00c6r\u00f8", "\u00deorgeir", "\u00c5sa"),
    "a caron on j, in one character and in two": ("\u01f0", "j\u030ca"),
    "marks that only lower case has in one character": ("\u1e96\u1e97\u1e98\u1e99",),
    "Vietnamese": ("Nguy\u1ec5n", "Nguye\u0302\u0303n-2"),
    "Hawaiian": ("\u02bbokina",),
    "Catalan": ("Gal\u00b7la",),
    "Greek": ("\u0393\u03b9\u03ce\u03c1\u03b3\u03bf\u03c2", "\u0390\u03c2", "\u1fb3"),
    "Cyrillic": ("\u0429\u0435\u0440\u0431\u0430\u043a\u043e\u0432", "\u0407\u0436\u0430\u043a"),
    "Armenian": ("\u0540\u0561\u0575\u056f", "\u0565\u0582", "\u0587\u0561"),
    "Georgian": ("\u10e5\u10d4\u10d7\u10d4\u10d5\u10d0\u10dc",),
    "Hebrew": ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u05de\u05d6\u05f4\u05dc"),
    "Arabic": ("\u0645\u062d\u0645\u062f", "\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f"),
    "Persian": ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
    "Divehi": ("\u078b\u07a8\u0788\u07ac\u0780\u07a8",),
    "Devanagari": (
        "\u0935\u093f\u0915\u094d\u0930\u092e", "\u0936\u094d\u0930\u0940\u092e\u093e\u0928\u094d",
        "\u0915\u094d\u200d\u0937",
    ),
    "Bengali": ("\u09ac\u09be\u0982\u09b2\u09be", "\u09aa\u09c2\u099c\u09cb"),
    "Gurmukhi": ("\u0a17\u0a41\u0a30\u0a2e\u0a40\u0a24",),
    "Gujarati": ("\u0a97\u0ac1\u0a9c\u0ab0\u0abe\u0aa4\u0ac0",),
    "Oriya": ("\u0b13\u0b5c\u0b3f\u0b06",),
    "Tamil": ("\u0ba4\u0bae\u0bbf\u0bb4\u0bcd", "\u0b95\u0bca"),
    "Telugu": ("\u0c24\u0c46\u0c32\u0c41\u0c17\u0c41",),
    "Kannada": ("\u0c95\u0ca8\u0ccd\u0ca8\u0ca1",),
    "Malayalam": ("\u0d2e\u0d32\u0d2f\u0d3e\u0d33\u0d02",),
    "Sinhala": ("\u0dc1\u0dca\u200d\u0dbb\u0dd3",),
    "Thai": ("\u0e2a\u0e21\u0e0a\u0e32\u0e22", "\u0e19\u0e49\u0e33\u0e1d\u0e19", "\u0e13\u0e31\u0e10"),
    "Lao": ("\u0ea5\u0eb2\u0ea7", "\u0e9a\u0eb8\u0e99"),
    "Tibetan": ("\u0f56\u0f66\u0f9f\u0f53\u0f0b\u0f60\u0f5b\u0f72\u0f53",),
    "Myanmar": ("\u1019\u103b\u103e\u1031\u102c\u103a", "\u101b\u103d\u103e\u1031"),
    "Khmer": ("\u1781\u17d2\u1789\u17bb\u17c6", "\u179f\u17bb\u1797\u17b6\u1796"),
    "Ethiopic": ("\u1230\u120b\u121d",),
    "Cherokee": ("\u13e3\u13b3\u13a9",),
    "Inuktitut": ("\u1403\u14c4\u1483",),
    "Tifinagh": ("\u2d5c\u2d30\u2d4e",),
    "Mongolian": ("\u182e\u1823\u1829",),
    "Chinese": ("\u738b\u5c0f\u660e", "\U00020bb7\u91ce"),
    "Japanese": ("\u3086\u3046\u3053", "\u30b8\u30e7\u30f3\u30fb\u30b9\u30df\u30b9", "\u3055\u3099"),
    "Korean": ("\uae40\ucca0\uc218", "\u1100\u1175\u11b7"),
    "digits of other scripts": ("\u0633\u0644\u0627\u0645\u06f1\u06f2", "\u0967\u0968"),
}  # fmt: skip
NO_NAMES = {
    "a mark first": "\u0301a",
    "a vowel sign first": "\u093f\u0915",
    "a sign that encloses": "a\u20dd",
    "marks over marks": "a" + "\u0335\u0336\u0337\u0338\u0321",
    "a joiner between letters that it does not join": "kel\u200dvin",
    "a non-joiner between letters that nothing joins": "kel\u200cvin",
    "a joiner at the end": "\u0915\u200d",
    "a letter that is invisible": "\u3164",
    "an invisible letter between others": "ad\u115fmin",
    "a variation selector": "admin\ufe0f",
    "a grapheme joiner": "ad\u034fmin",
    "an invisible vowel": "\u1780\u17b4",
    "a direction": "ad\u202emin",
    "a middle dot without its letters": "a\u00b7b",
    "a Japanese dot without Japanese": "a\u30fbb",
    "a Hebrew sign without Hebrew": "a\u05f4b",
    "a Tibetan dot twice": "\u0f56\u0f0b\u0f0b\u0f56",
    "an apostrophe": "o\u2019neil",
    "a heart": "\u2665",
    "an emoji": "\U0001f600",
    "a ligature": "\ufb01n",
    "a small letter of mathematics": "\U0001d41a",
    "a superscript": "a\u00b2",
    "a letter in parentheses": "\u249c",
    "a digraph": "\u01c6",
    "65 characters": "\u0915" * 65,
}


@in_memory
async def test_names_of_all_scripts_are_taken_shown_as_given_and_sign_in_in_either_form(
    make_client: MakeClient,
) -> None:
    client = await make_client(throttle={"enabled": False})
    for script, names in NAMES.items():
        for number, name in enumerate(names):
            email = f"{script.replace(' ', '-').replace(',', '')}{number}@example.com"
            made = await client.register(email, username=name)
            assert (made.status_code, made.json().get("username")) == (201, name), (script, name, made.text)
            for form in ("NFC", "NFD"):
                body = {"username": unicodedata.normalize(form, name), "password": PASSWORD}
                assert (await client.post("/auth/login", json=body)).status_code == 200, (script, name, form)


@in_memory
@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
async def test_what_is_no_letter_is_in_no_name(client: Client, name: str) -> None:
    assert_problem(await client.register("ada@example.com", username=name), 422, "validation-error")


SAME = [
    ("x@fa\u00df.example", "x@xn--fa-hia.example"),
    ("x@FA\u1e9e.example", "x@fa\u00df.example"),
    ("Wei\u00df@example.com", "WEI\u1e9e@example.com"),
    ("\u01f0@example.com", "J\u030c@example.com"),
    ("\u0130@example.com", "i\u0307@example.com"),
    ("x@\u0dc1\u0dca\u200d\u0dbb\u0dd3.example", "x@xn--10cl1a0b660p.example"),
    ("x@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", "x@XN--MGBA3GCH31F060K.example"),
    ("\u0dc1\u0dca\u200d\u0dbb\u0dd3@example.com", " \u0dc1\u0dca\u200d\u0dbb\u0dd3@EXAMPLE.com"),
    ("x@\u0909\u0926\u093e\u0939\u0930\u0923.\u092a\u0930\u0940\u0915\u094d\u0937\u093e",
     "x@xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
]  # fmt: skip
NO_DOMAINS = [
    f"a@{domain}{dot}" for domain in ("xn--mgba3gch31f060k.com", "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com")
    for dot in (".", "\u3002", "\uff61", "..com")
]  # fmt: skip
OTHERS = [
    ("x@fa\u00df.example", "x@fass.example"),
    ("wei\u00df@example.com", "weiss@example.com"),
    ("x@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", "x@\u0646\u0627\u0645\u0647\u0627\u06cc.example"),
    ("\u0915\u092e\u0932@example.com", "\u0915\u092e\u0932\u093e@example.com"),
]


@in_memory
@pytest.mark.parametrize("email", NO_DOMAINS, ids=map(ascii, NO_DOMAINS))
async def test_a_domain_with_a_joiner_and_an_empty_label_is_none(client: Client, email: str) -> None:
    assert_problem(await client.register(email), 422, "validation-error")
    assert (await client.login(email)).status_code in {401, 422}


@in_memory
@pytest.mark.parametrize(("one", "other"), SAME)
async def test_two_spellings_of_an_address_with_letters_of_any_script_are_one(
    client: Client, one: str, other: str
) -> None:
    assert (await client.register(one)).status_code == 201
    assert_problem(await client.register(other), 409, "account-exists")
    assert (await client.login(other)).status_code == 200


@in_memory
@pytest.mark.parametrize(("one", "other"), OTHERS)
async def test_what_the_dns_and_mail_servers_tell_apart_are_two_addresses(client: Client, one: str, other: str) -> None:
    assert (await client.register(one)).status_code == 201
    assert (await client.register(other)).status_code == 201


@in_memory
@pytest.mark.parametrize(
    "email",
    [
        "x@a\u200db.example",
        "x@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.1.example",
        "kel\u200dvin@example.com",
        "x@off\u00adice.example",
    ],
)
async def test_a_joiner_that_joins_nothing_and_a_domain_that_reads_as_another_are_refused(
    client: Client, email: str
) -> None:
    assert_problem(await client.register(email), 422, "validation-error")
