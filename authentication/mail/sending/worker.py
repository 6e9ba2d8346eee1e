"""Sends the mails of the outbox in the background, outside of any transaction."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from typing import TypeVar

from jinja2 import TemplateError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.instrumentation import Instrumentation
from authentication.mail.kinds import LinkKind, MailKind
from authentication.mail.sending import senders
from authentication.mail.sending.composing import Composer
from authentication.mail.sending.letters import Letter, Letters
from authentication.mail.sending.senders import Sender, SendingFailed
from authentication.mail.settings import MailSettings
from authentication.settings import DAY
from counterfoil.errors import DatabaseUnavailable
from database import clock, queries
from database.engine.session import Database
from database.models import OutgoingMail

log = logging.getLogger("counterfoil.mail")

# Long enough for all mails of a lease, each of which takes at most senders.MAIL_SECONDS.
LEASE_SECONDS = 120
MAILS_PER_LEASE = 5
_POLL_SECONDS = 5.0
# In a flood of requests for mails to nobody, each round removes those that have gathered.
_GATHER_SECONDS = 0.5
_REMOVED_AT_ONCE = 500
_STOP_SECONDS = 10.0
RETRY_SECONDS = (60, 300, 1800, 7200)
"""After the first attempt, the second and so on. After the last, a mail is given up."""

# Of a mail at which worker after worker has died.
_MAX_LEASES = 10

_NOTICE_SECONDS = DAY

T = TypeVar("T")


class OutboxWorker:
    """Several tasks, each with a connection to the mail server. Belongs to an event loop.

    Every worker process has one; leases in the database keep them from sending a mail twice.
    """

    def __init__(
        self,
        settings: MailSettings,
        database: Database,
        composer: Composer,
        letters: Letters,
        instrumentation: Instrumentation,
    ) -> None:
        self._settings = settings
        self._database = database
        self._composer = composer
        self._letters = letters
        self._instrumentation = instrumentation
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self._added = asyncio.Event()
        self._due = asyncio.Event()
        self._counted_at = -_POLL_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to send."""
        self._loop = asyncio.get_running_loop()
        # What an earlier process has left.
        self._added.set()
        helpers = [self._send_with_others] * (self._settings.mail_connections - 1)
        for work in (self._look_and_send, *helpers):
            # In a context of its own: no time of a request is to be used up.
            task = self._loop.create_task(self._keep_on(work), context=Context())
            self._tasks.append(task)

    async def stop(self) -> None:
        """Wait for the mails that are being sent, for a while. Give the others back."""
        self._is_stopping = True
        self._added.set()
        self._due.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def wake(self) -> None:
        """A mail has been added. Called in any thread."""
        if self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._added.set)

    async def send_due(self) -> int:
        """Send all that is due now. Returns how many mails were tried."""
        sender = self._create_sender()
        tried = 0
        try:
            while leased := await self._lease():
                tried += len(leased)
                await self._send_all(sender, leased)
        finally:
            await sender.close()
        return tried

    async def _keep_on(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self._is_stopping:
            try:
                await work()
            except DatabaseUnavailable as error:
                log.warning("the outbox cannot be read: %s", error)
                await asyncio.sleep(_GATHER_SECONDS)
            except Exception:
                # The task must survive, so that the next round can succeed.
                log.exception("sending mails failed")
                await asyncio.sleep(_GATHER_SECONDS)

    async def _look_and_send(self) -> None:
        """Wait for mails, remove those to nobody, and send the others together with other tasks."""
        # Spread, so that workers do not all ask at the same time.
        seconds = _POLL_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
        with suppress(TimeoutError):
            await asyncio.wait_for(self._added.wait(), seconds)
            await asyncio.sleep(_GATHER_SECONDS)
        self._added.clear()
        if not self._is_stopping and await self._is_due():
            await self._remove_pointless()
            if await self._is_due():
                self._due.set()
                await self.send_due()
        await self._count()

    async def _send_with_others(self) -> None:
        await self._due.wait()
        self._due.clear()
        await self.send_due()

    async def _remove_pointless(self) -> None:
        def remove(db: Session) -> int:
            return queries.outbox.remove_pointless(db, kind=MailKind.RESET, limit=_REMOVED_AT_ONCE)

        while await self._run_in_database(remove) == _REMOVED_AT_ONCE:
            continue

    async def _is_due(self) -> bool:
        """On SQLite, whatever writes would keep requests from writing: so it is read first."""
        return await self._run_in_database(queries.outbox.is_due, read_only=True)

    async def _count(self) -> None:
        """For the metrics, now and then."""
        now = asyncio.get_running_loop().time()
        if now < self._counted_at + _POLL_SECONDS:
            return
        self._counted_at = now
        waiting = await self._run_in_database(queries.outbox.count_unfinished, read_only=True)
        self._instrumentation.mails_waiting(waiting)

    async def _lease(self) -> Sequence[OutgoingMail]:
        if self._is_stopping:
            return []
        return await self._run_in_database(
            lambda db: queries.outbox.lease(db, limit=MAILS_PER_LEASE, seconds=LEASE_SECONDS)
        )

    async def _send_all(self, sender: Sender, leased: Sequence[OutgoingMail]) -> None:
        for position, mail in enumerate(leased):
            if self._is_stopping:
                await self._release(leased[position:])
                return
            await self._send_one(sender, mail)

    async def _release(self, leased: Sequence[OutgoingMail]) -> None:
        await self._run_in_database(lambda db: queries.outbox.release(db, leased))

    async def _send_one(self, sender: Sender, mail: OutgoingMail) -> None:
        try:
            letter = await self._run_in_database(lambda db: self._compose(db, mail))
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("mail %d (%s) cannot be composed", mail.id, mail.kind)
            failure = SendingFailed("internal", "the mail cannot be composed")
            return await self._record_failure(mail, failure)
        if letter is None:
            return None
        try:
            await self._send(sender, letter)
        except SendingFailed as failure:
            return await self._record_failure(mail, failure)
        await self._run_in_database(lambda db: queries.outbox.record_sent(db, mail))
        self._instrumentation.mail_finished(mail.kind, "sent")
        return None

    def _compose(self, db: Session, mail: OutgoingMail) -> Letter | None:
        """None if it is not sent, which is recorded."""
        reason = None
        if clock.read(db) >= mail.created_at + _useful(self._settings, mail.kind):
            reason = "expired"
        elif mail.attempts > _MAX_LEASES:
            reason = "abandoned"
        if reason is not None:
            queries.outbox.record_failed(db, mail, reason)
            self._instrumentation.mail_finished(mail.kind, "failed")
            return None
        letter = self._composer.compose(db, mail)
        if letter is None:
            queries.outbox.remove(db, mail)
        return letter

    async def _send(self, sender: Sender, letter: Letter) -> None:
        try:
            # It takes some milliseconds, in which the event loop would serve no request.
            envelope = await asyncio.to_thread(self._letters.render, letter)
        except ValueError as error:
            raise SendingFailed("address", str(error), is_final=True) from None
        except (TemplateError, OSError) as error:
            # Of one's own templates, most likely, which can be mended before the next attempt.
            raise SendingFailed("template", f"{type(error).__name__}: {error}") from None
        await sender.send(envelope)

    async def _record_failure(self, mail: OutgoingMail, failure: SendingFailed) -> None:
        is_final = failure.is_final or mail.attempts > len(RETRY_SECONDS)
        outcome = "failed" if is_final else "retried"
        log.warning(
            "mail %d (%s) is not sent, attempt %d: %s; it is %s",
            *(mail.id, mail.kind, mail.attempts, failure),
            "given up" if is_final else "tried again",
        )
        await self._run_in_database(
            lambda db: self._store_failure(db, mail, failure, is_final=is_final)
        )
        self._instrumentation.mail_finished(mail.kind, outcome)

    def _store_failure(
        self, db: Session, mail: OutgoingMail, failure: SendingFailed, *, is_final: bool
    ) -> None:
        if not is_final:
            seconds = RETRY_SECONDS[mail.attempts - 1]
            at = clock.read(db) + timedelta(seconds=seconds)
            queries.outbox.record_retry(db, mail, failure.code, at=at)
            return
        queries.outbox.record_failed(db, mail, failure.code)
        subject = audit.user(mail.user_id) if mail.user_id is not None else None
        audit.record(
            db,
            Event.MAIL_FAILED,
            origin=Origin("worker"),
            subject=subject,
            kind=mail.kind,
            mail=mail.id,
            reason=failure.code,
        )

    def _create_sender(self) -> Sender:
        return senders.create(
            self._settings.server, timeout_seconds=self._settings.mail_timeout_seconds
        )

    async def _run_in_database(self, work: Callable[[Session], T], *, read_only: bool = False) -> T:
        return await self._database.run(work, read_only=read_only, is_untrusted=True)


def _useful(settings: MailSettings, kind: str) -> timedelta:
    """How long a mail makes sense after it was asked for."""
    if kind in {MailKind.RESET, MailKind.VERIFY, MailKind.CHANGE, MailKind.REGISTER}:
        return timedelta(seconds=settings.lifetime_seconds(LinkKind(kind)))
    return timedelta(seconds=_NOTICE_SECONDS)
