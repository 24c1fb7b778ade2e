"""Recovery codes: told once, typed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_service.security.recovery_codes import (
    AT_ONCE,
    BYTES,
    hash_recovery_code,
    new_recovery_codes,
    read_recovery_code,
    spell_recovery_code,
)

CODES = st.binary(min_size=BYTES, max_size=BYTES)


@given(CODES)
def test_a_code_is_read_as_it_was_told(code: bytes) -> None:
    assert read_recovery_code(spell_recovery_code(code)) == code


@given(CODES)
def test_a_code_is_read_however_it_is_typed(code: bytes) -> None:
    told = spell_recovery_code(code)
    misread = told[:-1].replace("1", "l").replace("0", "o") + told[-1]
    assert read_recovery_code(misread.lower().replace("-", " ") + " ") == code
    assert read_recovery_code(told.replace("-", "")) == code


@given(CODES, st.data())
def test_a_wrong_character_is_found_without_the_database(code: bytes, data: st.DataObject) -> None:
    told = spell_recovery_code(code)
    place = data.draw(st.sampled_from([at for at, character in enumerate(told) if character != "-"][:-1]))
    other = data.draw(st.sampled_from([each for each in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if each != told[place]]))
    assert read_recovery_code(told[:place] + other + told[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "123456", "0" * 24, "0" * 26, "\u0660" * 25, "ABCDE-FGHJK-MNPQR-STVWX-YZUUU"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert read_recovery_code(text) is None


def test_there_are_ten_different_ones_and_their_hashes_do_not_tell_them() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == AT_ONCE == 10
    assert all(len(code) * 8 == 120 for code in codes)
    assert len({hash_recovery_code(code) for code in codes}) == AT_ONCE
    assert spell_recovery_code(bytes(BYTES)) == "00000-00000-00000-00000-00000"
