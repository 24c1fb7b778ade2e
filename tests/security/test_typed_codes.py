"""Codes that people type: recovery codes, and those of links in mails."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_service.security.typed_codes import length_of, read_code, spell_code

BYTES = 15
CODES = st.sampled_from([15, 17]).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@settings(deadline=None)  # the machine may be busy
@given(CODES)
def test_a_code_is_read_as_it_was_told(code: bytes) -> None:
    assert read_code(spell_code(code), len(code)) == code


@settings(deadline=None)  # the machine may be busy
@given(CODES)
def test_a_code_is_read_however_it_is_typed(code: bytes) -> None:
    told = spell_code(code)
    misread = told[:-1].replace("1", "l").replace("0", "o") + told[-1]
    assert read_code(misread.lower().replace("-", " ") + " ", len(code)) == code
    assert read_code(told.replace("-", ""), len(code)) == code
    for dash in ("\u2010", "\u2013", "\u2014", "\u2212", "\u00a0", "\u200b", "\n", "\r\n\t"):
        assert read_code(dash + told.replace("-", dash) + dash, len(code)) == code
    assert read_code("".join(chr(ord(c) + 0xFEE0) for c in told), len(code)) == code, (
        "as an East Asian keyboard types it"
    )


@settings(deadline=None)  # the machine may be busy
@given(CODES, st.data())
def test_a_wrong_character_is_found_without_the_database(code: bytes, data: st.DataObject) -> None:
    told = spell_code(code)
    place = data.draw(st.sampled_from([at for at, character in enumerate(told) if character != "-"][:-1]))
    other = data.draw(st.sampled_from([each for each in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if each != told[place]]))
    assert read_code(told[:place] + other + told[place + 1 :], len(code)) is None


@pytest.mark.parametrize("text", ["", "123456", "0" * 24, "0" * 26, "\u0660" * 25, "ABCDE-FGHJK-MNPQR-STVWX-YZUUU"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert read_code(text, BYTES) is None


def test_zero_is_spelled_in_full() -> None:
    assert spell_code(bytes(BYTES)) == "00000-00000-00000-00000-00000"


def test_what_is_more_than_so_many_bytes_is_no_code() -> None:
    too_large = (1 << 8 * 17).to_bytes(18)
    assert len(spell_code(too_large).replace("-", "")) == length_of(18) == length_of(17) + 1
    assert read_code("Z" * 28 + "0", 17) is None
