"""The dispatcher: sends the mail that is due, at least once each. No mail server can hold up a request or the pool."""

import asyncio
import random
import time
from contextlib import suppress
from datetime import timedelta

import structlog

from auth_service import logs
from auth_service.errors import DatabaseUnavailable, TooManyAttempts
from auth_service.mail.letters import WrongTemplateError
from auth_service.mail.log import MailLog
from auth_service.mail.smtp import NotDeliveredError, SmtpServer, UndeliverableError
from auth_service.models import DueMail
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.mail.composer import Composer, TooManyLinksError
from auth_service.services.mail.notices import MailNumbers
from auth_service.settings import MailSettings
from auth_service.tracing import begin

log = structlog.get_logger()

AT_A_TIME = 4
LONGEST_PAUSE = timedelta(hours=1)
CLAIM_MARGIN = timedelta(seconds=20)  # beside the time with the server: for the statements around it
COUNT_EVERY = 15.0  # seconds


class Dispatcher:
    def __init__(
        self,
        *,
        database: Database,
        carrier: SmtpServer | MailLog,
        composer: Composer,
        settings: MailSettings,
        numbers: MailNumbers,
    ) -> None:
        self._database = database
        self._carrier = carrier
        self._composer = composer
        self._interval = settings.interval
        self._claimed_for = settings.timeout + CLAIM_MARGIN
        self._sending: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._server_fails = False
        self._counted_at = float("-inf")
        self._numbers = numbers

    async def follow(self) -> None:
        """Send what is due, every few seconds and whenever a use case of this process wrote some, until `stop()`."""
        asking = asyncio.create_task(self._carrier.keep_asking())
        try:
            while not self._stopping:
                self._database.mail_was_written.clear()
                await self._look()
                await self._rest()
            await asyncio.gather(*self._sending)
        finally:
            for task in (asking, *self._sending):
                task.cancel()
            await asyncio.gather(asking, *self._sending, return_exceptions=True)

    def sends_utf8(self) -> bool | None:
        """Whether mail gets to addresses with letters outside ASCII before the @; None if nobody knows yet."""
        return self._carrier.sends_utf8

    async def _look(self) -> None:
        try:
            await self._hand_out()
            await self._count()
        except DatabaseUnavailable:
            log.debug("mail.not_read")
        except Exception:
            log.exception("mail.not_read")  # whatever it was: to send no more would be worse

    def stop(self) -> None:
        """Let `follow()` end after the mails that it is at; one that is cut off is sent again after its claim."""
        self._stopping = True
        self._database.mail_was_written.set()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._interval.total_seconds()):
                await self._database.mail_was_written.wait()

    async def _hand_out(self) -> None:
        """Claim as many mails as can be sent now, so that their claims begin when their sending does.

        While the server fails, one at a time shows whether it still does.
        """
        free = (1 if self._server_fails else AT_A_TIME) - len(self._sending)
        if free <= 0:
            return
        async with self._database.statement() as tx:
            mails = await tx.outbox.claim(free, self._claimed_for)
        for mail in mails:
            task = asyncio.create_task(self._send(mail))
            self._sending.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        """There may be more mail for a hand that is free again; a server that fails is left alone for a while."""
        self._sending.discard(task)
        if not self._server_fails:
            self._database.mail_was_written.set()

    async def _count(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._counted_at < COUNT_EVERY:
            return
        async with self._database.statement() as tx:
            self._numbers.waiting, oldest = await tx.outbox.survey()
        self._numbers.oldest, self._numbers.counted_at = oldest.total_seconds(), time.monotonic()
        self._counted_at = now

    async def _send(self, mail: DueMail) -> None:
        """Do all that becomes of one mail now. What is interrupted is due again after its claim."""
        with begin("mail", {"auth.mail.kind": mail.kind, "auth.mail.attempts": mail.attempts}):
            try:
                await self._try(mail)
            except DatabaseUnavailable:
                log.warning("mail.interrupted", mail=str(mail.id), kind=mail.kind)
            except Exception:
                log.exception("mail.interrupted", mail=str(mail.id), kind=mail.kind)

    async def _try(self, mail: DueMail) -> None:
        """Send one mail, or note in its row why not."""
        try:
            if mail.is_too_old:
                await self._give_up(mail, "too old")
            elif letter := await self._composer.compose(mail):
                await self._carrier.deliver(letter)
                await self._done(mail)
            else:
                await self._remove(mail)
        except UndeliverableError as error:
            self._server_fails = False
            await self._give_up(mail, f"refused with {error.code}")
        except TooManyAttempts:
            await self._give_up(mail, "too many")
        except TooManyLinksError as error:
            await self._delay(mail, error.seconds)
        except NotDeliveredError as error:
            self._server_fails = error.code is None
            await self._postpone(mail, code=error.code, caused_by=logs.causes_of(error))
        except WrongTemplateError as error:
            await self._postpone(mail, template=str(error).partition(":")[0])

    async def _done(self, mail: DueMail) -> None:
        self._server_fails = False
        self._numbers.sent += 1
        await self._remove(mail)
        log.info("mail.sent", mail=str(mail.id), kind=mail.kind, attempts=mail.attempts)

    async def _give_up(self, mail: DueMail, reason: str) -> None:
        self._numbers.given_up += 1
        await self._remove(mail)
        log.warning("mail.given_up", mail=str(mail.id), kind=mail.kind, attempts=mail.attempts, reason=reason)

    async def _postpone(self, mail: DueMail, **why: object) -> None:
        """Twice the pause of the time before, and a part of it by chance, so that not all come back at once."""
        self._numbers.failed += 1
        pause = min(self._interval * 2 ** min(mail.attempts - 1, 20), LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311
        log.warning("mail.not_sent", mail=str(mail.id), kind=mail.kind, attempts=mail.attempts, **why)
        async with self._database.statement() as tx:
            await tx.outbox.postpone(mail, pause)

    async def _delay(self, mail: DueMail, seconds: float) -> None:
        """Up to twice as long, by chance: whoever asks most often must not always be first."""
        log.info("mail.delayed", mail=str(mail.id), kind=mail.kind, seconds=round(seconds))
        async with self._database.statement() as tx:
            await tx.outbox.postpone(mail, timedelta(seconds=seconds * random.uniform(1, 2)))  # noqa: S311

    @retried
    async def _remove(self, mail: DueMail) -> None:
        async with self._database.statement() as tx:
            await tx.outbox.remove(mail)
