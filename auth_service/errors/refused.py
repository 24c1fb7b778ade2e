"""What every refusal is: a stable code, a sentence, and the data that goes with them."""

from collections.abc import Mapping
from typing import ClassVar


class Refused(Exception):  # noqa: N818  # a refusal is an answer, not an error of ours
    """A use case said no.

    `code` is a stable word for programs, `detail` a sentence for people. Neither ever repeats what the caller sent.
    `members` are what a program needs beside the code to go on.
    """

    code: ClassVar[str] = "refused"
    detail: str = "The request was refused."
    members: Mapping[str, object] = {}

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or type(self).detail
        super().__init__(self.detail)
