"""The mails of a service under test as their readers see them: one after the other, and the links in them."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import unescape
from typing import Any, Self

from auth_service.security.tokens.link_tokens import code_of_link_token

from .mail_server import MailServer, mail_server, text_of
from .polling import eventually

_LINK = re.compile(r"https?://\S+#token=\S+")


class LinkMails:
    def __init__(self, server: MailServer) -> None:
        self.server = server
        self.settings: dict[str, Any] = {
            "mail": {"host": "127.0.0.1", "port": server.port, "security": "none", "sender": "Auth <auth@example.com>"}
        }
        self._read: set[int] = set()

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[Self]:
        async with mail_server() as server:
            yield cls(server)

    async def link(self, recipient: str, page: str) -> str:
        """Wait for the next mail to somebody with a link to this page, and return that."""
        return await self._next(recipient, lambda text: _link_to(page, text))

    async def token(self, recipient: str, page: str) -> str:
        return (await self.link(recipient, page)).partition("#token=")[2]

    async def notice(self, recipient: str) -> str:
        """Wait for the next mail to somebody without a link, and return its text."""
        return await self._next(recipient, lambda text: "" if _LINK.search(text) else text)

    async def notices(self, recipient: str, *told: str) -> None:
        """Wait for as many of these, in any order, as mails overtake each other, and see that each tells one thing."""
        texts = [await self.notice(recipient) for _ in told]
        assert [sum(words in text for text in texts) for words in told] == [1] * len(told), texts

    def links(self, recipient: str) -> list[str]:
        """Every link that somebody was sent."""
        return [link for _, text in self._texts(recipient) for link in _LINK.findall(text)]

    def _texts(self, recipient: str) -> list[tuple[int, str]]:
        both = zip(self.server.envelopes, self.server.mails, strict=True)
        theirs = [(number, mail) for number, ((_, to), mail) in enumerate(both) if to == [recipient]]
        return [(number, _checked(text_of(mail), text_of(mail, "html"))) for number, mail in theirs]

    async def _next(self, recipient: str, find: Callable[[str], str]) -> str:
        found: list[str] = []

        async def has_come() -> bool:
            for number, text in self._texts(recipient):
                if number not in self._read and (wanted := find(text)):
                    self._read.add(number)
                    found.append(wanted)
                    return True
            return False

        await eventually(has_come, seconds=15)
        return found[0]


def _checked(text: str, html: str) -> str:
    """The text of a mail, which has the code of its link wherever it has the link."""
    for link in _LINK.findall(text):
        code = code_of_link_token(link.partition("#token=")[2])
        assert f"\n\n{code}\n\n" in text.replace("\r\n", "\n"), "on a line of its own, to be selected"
        assert f">{code}<" in html
        assert link in unescape(html)
    return text


def _link_to(page: str, text: str) -> str:
    found = _LINK.search(text)
    return found[0] if found and found[0].partition("#")[0].endswith(f"/{page}") else ""
