"""The names that new passkeys get: a short list, shipped with the package, that says where it is from."""

import json
from uuid import UUID

import pytest

from auth_service.security.factors.passkey_names import SHIPPED, suggest_passkey_name


@pytest.mark.parametrize(
    ("aaguid", "name"),
    [
        ("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4", "Google Password Manager"),
        ("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", "Apple Passwords"),
        ("08987058-cadc-4b81-b6e1-30de50dcbe96", "Windows Hello"),
        ("fa2b99dc-9e39-4257-8f92-4a30d23c4118", "YubiKey 5"),
        ("00000000-0000-0000-0000-000000000000", None),  # of whoever does not tell
        ("00000000-0000-4000-8000-000000000001", None),
    ],
)
def test_a_passkey_is_named_after_the_model_of_its_authenticator(aaguid: str, name: str | None) -> None:
    assert suggest_passkey_name(UUID(aaguid)) == name


def test_every_name_fits_where_names_are_kept_and_the_list_tells_its_source_and_licence() -> None:
    shipped = json.loads(SHIPPED.read_text("utf-8"))
    assert shipped["source"]
    assert shipped["licence"].startswith("MIT, Copyright")
    assert len(shipped["names"]) > 90
    assert all(str(UUID(aaguid)) == aaguid and 0 < len(name) <= 64 for aaguid, name in shipped["names"].items())
