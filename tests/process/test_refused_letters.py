"""What is said of an address or a username that is refused: a stable reason, and a sentence that is true."""

import unicodedata

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem

in_memory = pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)

UNSEEN = {
    "right-to-left override": "\u202e", "left-to-right isolate": "\u2066", "zero-width space": "\u200b",
    "soft hyphen": "\u00ad", "byte order mark": "\ufeff", "word joiner": "\u2060", "a joiner that joins nothing":
    "\u200d", "a non-joiner where none belongs": "\u200c", "variation selector": "\ufe0f", "grapheme joiner": "\u034f",
    "Hangul filler": "\u115f", "Mongolian vowel separator": "\u180e", "tag": "\U000e0041", "control": "\x01",
    "delete": "\x7f", "C1 control": "\x9b",
}  # fmt: skip
SPACES = {"space": " ", "no-break space": "\u00a0", "ideographic space": "\u3000", "thin space": "\u2009",
          "line separator": "\u2028", "tab": "\t", "line break": "\n", "empty Braille pattern": "\u2800"}  # fmt: skip
STAND_INS = {
    "ligature": "\ufb01", "full-width letter": "\uff41", "feminine ordinal": "\u00aa", "superscript two": "\u00b2",
    "Kelvin sign": "\u212a", "long s": "\u017f", "circled one": "\u2460", "Roman numeral": "\u2163",
    "digraph": "\u01c6", "mathematical letter": "\U0001d41a", "modifier letter": "\u1d43", "number sign": "\u2116",
}  # fmt: skip

NO_DOMAIN = ("invalid-email", "IP address")
ADDRESSES = {
    **{f"{name} in the name": (f"ada{c}l@example.com", "invalid-character", "invisible") for name, c in UNSEEN.items()},
    **{f"{name} in the domain": (f"a@exa{c}mple.com", "invalid-character", "invisible")
       for name, c in UNSEEN.items() if "join" not in name or "word" in name},
    **{f"{name} in the name": (f"ada{c}l@example.com", "invalid-character", "spaces") for name, c in SPACES.items()},
    **{f"{name} in the domain": (f"a@exa{c}mple.com", "invalid-character", "spaces") for name, c in SPACES.items()},
    **{f"{name} in the name": (f"ada{c}l@example.com", "look-alike", "plain") for name, c in STAND_INS.items()},
    **{f"{name} in the domain": (f"ada@ex{c}ample.com", "look-alike", "plain '-'") for name, c in {
        "hyphen": "\u2010", "en dash": "\u2013", "minus": "\u2212"}.items()},
    "an accent without its letter": ("o\u00b4neil@example.com", "invalid-character", "accent"),
    "IPv4": ("a@127.0.0.1", *NO_DOMAIN),
    "IPv4 and a dot": ("a@127.0.0.1.", *NO_DOMAIN),
    "IPv4, shortened": ("a@127.1", *NO_DOMAIN),
    "IPv4 in one number": ("a@2130706433", *NO_DOMAIN),
    "IPv4 in hexadecimal": ("a@0x7f.0X1", *NO_DOMAIN),
    "a number at the end": ("a@example.123", *NO_DOMAIN),
    "IPv4 literal": ("a@[127.0.0.1]", *NO_DOMAIN),
    "IPv6 literal": ("a@[IPv6:::1]", *NO_DOMAIN),
    "IPv6": ("a@2001:db8::1", *NO_DOMAIN),
    "quoted": ('"ada.l"@example.com', "invalid-email", "quotation marks"),
    "65 characters before the @": ("x" * 65 + "@example.com", "too-long", "64 characters before the @"),
    "65 letters before the @": ("\u00e9" * 65 + "@example.com", "too-long", "64 characters before the @"),
    "a label of 64 characters": ("a@" + "x" * 64 + ".com", "too-long", "63 characters between"),
    "a label of 64 characters in the DNS": ("a@" + "\u00fc" * 60 + ".com", "too-long", "63 characters between"),
    "more than 254 bytes": ("\u4f8b" * 64 + "@" + ".".join(["xy" * 20] * 3) + ".com", "too-long", "254 characters"),
    "marks over marks": ("a" + "\u0301" * 5 + "@example.com", "invalid-email", "4 accents"),
    "no @": ("ada.example.com", "invalid-email", "such as name@host.example"),
    "nothing before the @": ("@example.com", "invalid-email", "such as name@host.example"),
    "a display name": ("Ada<ada@example.com>", "invalid-email", "such as name@host.example"),
}  # fmt: skip
DASHES = {
    "hyphen": "\u2010", "non-breaking hyphen": "\u2011", "en dash": "\u2013", "minus": "\u2212", "maqaf": "\u05be",
}  # fmt: skip
USERNAMES = {
    **{name: (f"ada{c}l", "look-alike", "plain '-'") for name, c in DASHES.items()},
    **{name: (f"ada{c}l", "invalid-character", "invisible") for name, c in UNSEEN.items()},
    **{name: (f"ada{c}l", "invalid-username", "letters, digits") for name, c in SPACES.items()},
    **{name: (f"ada{c}l", "look-alike", "plain") for name, c in STAND_INS.items()},
    "an accent without its letter": ("o\u00b4neil", "invalid-character", "accent"),
    "marks over marks": ("a" + "\u0335\u0336\u0337\u0338\u0321", "invalid-username", "4 accents"),
    "very many marks": ("z" + "\u0301\u0302\u0303\u0304\u0305\u0306" * 10, "invalid-username", "4 accents"),
    "65 letters": ("\u0915" * 65, "too-long", "64 characters"),
    "an emoji with invisible parts": ("\u2764\ufe0f", "invalid-username", "letters, digits"),
    "an emoji of several": ("\U0001f468\u200d\U0001f469", "invalid-username", "letters, digits"),
    "a dot first": (".ada", "invalid-username", "start with a letter"),
    "an apostrophe": ("o'neil", "invalid-username", "letters, digits"),
}
# Of each kind of characters that stand for others: which are one with what they stand for, and which are two.
COMPATIBLE = {
    "micro sign": ("\u00b5", "\u03bc"), "Angstrom sign": ("\u212b", "\u00e5"), "ohm sign": ("\u2126", "\u03c9"),
    "Greek symbols": ("\u03d0\u03d1\u03d5", "\u03b2\u03b8\u03c6"), "long s with a dot": ("\u1e9b", "\u1e61"),
    "Armenian ligature": ("\ufb13", "\u0574\u0576"), "compatibility ideograph": ("\uf900", "\u8c48"),
}  # fmt: skip
LOOK_ALIKE = {
    "half-width kana": ("\uff76\uff9e\uff72", "\u30ac\u30a4"), "Arabic form": ("\ufedb\ufef4", "\u0643\u064a"),
    "Hebrew wide letter": ("\ufb20\ufb4f", "\u05e2\u05d0\u05dc"), "Hebrew symbol": ("\u2135", "\u05d0"),
    "Greek of mathematics": ("\U0001d6c2", "\u03b1"), "Korean jamo": ("\u3131", "\u1100"),
    "half-width jamo": ("\uffa1", "\u1100"), "Thai in two": ("\u0e19\u0e4d\u0e32", "\u0e19\u0e33"),
}  # fmt: skip


@in_memory
async def test_an_address_is_refused_for_what_is_wrong_with_it(client: Client) -> None:
    for case, (email, reason, word) in ADDRESSES.items():
        answer = await client.register(email)
        assert_problem(answer, 422, "validation-error")
        (fault,) = answer.json()["errors"]
        assert (fault["field"], fault["reason"]) == ("email", reason), (case, fault)
        assert word in fault["detail"], (case, fault)


@in_memory
async def test_a_username_is_refused_for_what_is_wrong_with_it(client: Client) -> None:
    for case, (name, reason, word) in USERNAMES.items():
        answer = await client.register("ada@example.com", username=name)
        (fault,) = answer.json()["errors"]
        assert (fault["field"], fault["reason"]) == ("username", reason), (case, fault)
        assert word in fault["detail"], (case, fault)


@in_memory
async def test_characters_that_stand_for_others_make_no_second_name(make_client: MakeClient) -> None:
    """Either form is the same name, or looks like it; an address is proved by a mail, so there only cases are one."""
    client = await make_client(throttle={"enabled": False})
    for number, (case, pair) in enumerate({**COMPATIBLE, **LOOK_ALIKE}.items()):
        for order, (one, other) in enumerate((pair, pair[::-1])):
            taken, name = f"{number}-{order}-{one}", f"{number}-{order}-{other}"
            assert (await client.register(f"a{number}{order}@example.com", username=taken)).status_code == 201, case
            refused = await client.register(f"b{number}{order}@example.com", username=name)
            assert refused.status_code == 409, (case, order)
            entered = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
            assert entered.status_code == (200 if case in COMPATIBLE else 401), case
            assert (await client.register(f"{taken}@example.com")).status_code == 201
            again = await client.register(f"{name}@example.com")
            assert again.status_code == (409 if case in COMPATIBLE else 201), case


@in_memory
async def test_an_account_with_an_address_that_no_new_one_may_have_keeps_it(client: Client, database_url: str) -> None:
    await client.register("ada@example.com")
    for kept in ("ada@127.0.0.1", "x" * 65 + "@example.com", "a" + "\u0301" * 9 + "@example.com"):
        answer = await client.login(unicodedata.normalize("NFC", kept))
        assert answer.status_code == 401, "it is looked for, and not refused"
