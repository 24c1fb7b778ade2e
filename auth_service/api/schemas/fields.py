"""The kinds of fields that bodies and answers have, and what all bodies and all answers are.

None is derived from the tables: a row holds more than a client may see or set.
"""

import re
from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Annotated, Any, LiteralString, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from auth_service.errors import FieldFault, Reason

# Long enough for every policy, short enough to hash.
MAX_PASSWORD = 1024
MAX_PER_PAGE = 100
MAX_WAIT = 60  # seconds
CURSOR = r"^[A-Za-z0-9_-]{32}$"
MAX_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
MAX_USERNAME = 64
# What every username keeps to, as a pattern for any language: of ASCII only letters, digits, '.', '_' and '-', the
# first a letter or a digit; blanks around it are dropped. What is not ASCII is judged by `identifiers`.
USERNAME = r"^\s*[^\x00-/:-@\[-`{-\x7f][^\x00-,/:-@\[-^`{-\x7f]*\s*$"
CHOSEN = "chosen-password"
"""Marks a field for the OpenAPI document, which tells the lengths that the settings ask for."""

REQUIRED = "This field is required."
UNCLEAN = "Must not contain NUL or a lone surrogate."
CLASH = "clash"
"""The type of error that says that fields do not go together; `Body.clashes` says which and why."""

_UNCLEAN = re.compile(r"[\x00\ud800-\udfff]")


class Rule(Enum):
    """Marks a field with what is asked of it beside its shape, which is more than its type can tell."""

    EMAIL = auto()
    NEW_EMAIL = auto()
    USERNAME = auto()
    FIRST_USERNAME = auto()
    PASSWORD = auto()
    NEW_PASSWORD = auto()


def wrong(reason: Reason, detail: LiteralString) -> PydanticCustomError:
    """What a validator raises: `detail` is a sentence for people."""
    return PydanticCustomError(reason.value, detail)


def clean(text: str) -> str:
    if _UNCLEAN.search(text):
        raise wrong(Reason.INVALID_CHARACTER, UNCLEAN)
    return text


def clean_secret(secret: SecretStr) -> SecretStr:
    clean(secret.get_secret_value())
    return secret


def secret_of(text: SecretStr | None) -> str | None:
    """Return what a field holds that may be left out."""
    return text.get_secret_value() if text is not None else None


Email = Annotated[
    str,
    Rule.EMAIL,
    Field(min_length=3, max_length=MAX_EMAIL, examples=["ada@example.com"]),
    AfterValidator(clean),
]
NewEmail = Annotated[Email, Rule.NEW_EMAIL]
Username = Annotated[
    str,
    Rule.USERNAME,
    Field(min_length=1, max_length=MAX_USERNAME, examples=["ada"], json_schema_extra={"pattern": USERNAME}),
    AfterValidator(clean),
]
Password = Annotated[
    SecretStr,
    Rule.PASSWORD,
    Field(min_length=1, max_length=MAX_PASSWORD, examples=["correct horse battery staple"]),
    AfterValidator(clean_secret),
]
NewPassword = Annotated[Password, Rule.NEW_PASSWORD, Field(json_schema_extra={"format": CHOSEN})]
CurrentPassword = Annotated[Password | None, Field(description="Required, unless the account has no password")]
Token = Annotated[SecretStr, Field(min_length=1, examples=["art_..."]), AfterValidator(clean_secret)]


def _is_none(value: object) -> bool:
    return value is None


def _is_never_null(schema: dict[str, Any]) -> None:
    schema.pop("default", None)
    [told] = [kind for kind in schema.pop("anyOf") if kind.get("type") != "null"]
    schema.update(told)


IF_ANY = Field(exclude_if=_is_none, json_schema_extra=_is_never_null)
"""A field of an answer that is left out where there is nothing to tell, and never null."""


class Answer(BaseModel):
    """The fields of an answer. What writes them is built for the first one that is sent, and not at every start."""

    model_config = ConfigDict(defer_build=True, json_schema_serialization_defaults_required=True)


class Body(BaseModel):
    """A body from outside: exact types, no unknown fields, and no value in any error.

    What validates it is built for the first one that comes, and not at every start.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True)

    @classmethod
    def clashes(cls, _given: Collection[str]) -> list[FieldFault]:
        """Return what is wrong with the fields that are given, which are right or wrong by themselves: beside others,
        or without them.
        """
        return []


class Parameters(BaseModel):
    """The query parameters of a route: no unknown ones, and no value in any error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class CombinedBody(Body):
    """A body of which some fields do not go together, or only together."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.clashes([name for name, value in self.__dict__.items() if value is not None]):
            raise PydanticCustomError(CLASH, CLASH)
        return self


def one_of(given: Collection[str], names: Sequence[str], what: str) -> list[FieldFault]:
    """The faults if not exactly one of the fields is given; `what` is their names for people."""
    found = [name for name in names if name in given]
    if len(found) == 1:
        return []
    if not found:
        return [FieldFault(name, Reason.REQUIRED, f"Give {what}.") for name in names]
    return [FieldFault(name, Reason.NOT_TOGETHER, f"Give {what}: only one of them.") for name in found]
