"""What a setting may hold, and how it is read from text."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import SettingsConfigDict

SOURCES = SettingsConfigDict(
    env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
)
ZERO = timedelta(0)
SHORTEST_WAIT = timedelta(seconds=0.1)  # less would be over, or be 0 and so no limit, before anything can come
LONGEST = timedelta(days=3650)  # beyond that, sums of times leave the calendar
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _seconds(value: object) -> object:
    """Let plain numbers of seconds through as durations; ISO 8601 ('P14D', 'PT5M') is left to pydantic.

    What no duration can be as long as becomes the longest, so that the bound of the setting is what is said.
    """
    if isinstance(value, str):
        try:
            return timedelta(seconds=float(value))
        except OverflowError:
            return timedelta.min if float(value) < 0 else timedelta.max
        except ValueError:
            return value
    return value


def choice(*words: str) -> BeforeValidator:
    """Read one of these words, in whatever case it is written."""

    def read(value: Any) -> Any:
        word = value.strip().lower() if isinstance(value, str) else value
        if word is not None and word not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return word

    return BeforeValidator(read)


def readable_file(path: Path) -> Path:
    """Return the path of a regular file that can be read: a pipe would be waited for.

    Raises:
        ValueError: it is none.
    """
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError("must be a readable file, by its whole path or from the working folder")
    return path


def written_as(pattern: str, expected: str) -> AfterValidator:
    """Demand a form, and say in words what is expected: a pattern says it to nobody who reads a message."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(expected)
        return text

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(_seconds)]


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
