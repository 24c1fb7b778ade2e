"""Codes that people type: recovery codes, and those of links in mails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.security.typed_codes import BYTES, read_code, spell_code

CODES = st.binary(min_size=BYTES, max_size=BYTES)


@given(CODES)
def test_a_code_is_read_as_it_was_told(code: bytes) -> None:
    assert read_code(spell_code(code)) == code


@given(CODES)
def test_a_code_is_read_however_it_is_typed(code: bytes) -> None:
    told = spell_code(code)
    misread = told[:-1].replace("1", "l").replace("0", "o") + told[-1]
    assert read_code(misread.lower().replace("-", " ") + " ") == code
    assert read_code(told.replace("-", "")) == code
    for dash in ("\u2010", "\u2013", "\u2014", "\u2212", "\u00a0", "\u200b", "\n", "\r\n\t"):
        assert read_code(dash + told.replace("-", dash) + dash) == code
    assert read_code("".join(chr(ord(c) + 0xFEE0) for c in told)) == code, "as an East Asian keyboard types it"


@given(CODES, st.data())
def test_a_wrong_character_is_found_without_the_database(code: bytes, data: st.DataObject) -> None:
    told = spell_code(code)
    place = data.draw(st.sampled_from([at for at, character in enumerate(told) if character != "-"][:-1]))
    other = data.draw(st.sampled_from([each for each in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if each != told[place]]))
    assert read_code(told[:place] + other + told[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "123456", "0" * 24, "0" * 26, "\u0660" * 25, "ABCDE-FGHJK-MNPQR-STVWX-YZUUU"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert read_code(text) is None


def test_zero_is_spelled_in_full() -> None:
    assert spell_code(bytes(BYTES)) == "00000-00000-00000-00000-00000"
