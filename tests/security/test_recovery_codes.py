"""Recovery codes: told once, typed by hand."""

from auth_service.security.factors.recovery_codes import AT_ONCE, hash_recovery_code, new_recovery_codes


def test_there_are_ten_different_ones_and_their_hashes_do_not_tell_them() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == AT_ONCE == 10
    assert all(len(code) * 8 == 120 for code in codes)
    assert len({hash_recovery_code(code) for code in codes}) == AT_ONCE
