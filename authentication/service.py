"""The parts of a running service: opened once, closed once, passed to what needs them."""

import asyncio
from urllib.parse import urlsplit

from sqlalchemy import event
from sqlalchemy.orm import Session

from authentication import audit
from authentication.errors import HashingBusy
from authentication.factors.passkeys.login_challenges import LoginChallenges
from authentication.factors.passkeys.relying_party import RelyingParty
from authentication.factors.sealing import Sealer
from authentication.instrumentation import Instrumentation, NullInstrumentation
from authentication.mail import outbox
from authentication.mail.mailing import Mailing
from authentication.mail.settings import MailSettings
from authentication.passwords.hasher import PasswordHasher
from authentication.passwords.queue import HashingQueue
from authentication.pruning.worker import PruningWorker
from authentication.resolution.api_key_uses import ApiKeyUses
from authentication.resolution.issued_tokens import IssuedTokens
from authentication.resolution.last_used import LastUsedWriter
from authentication.resolution.limited_resolver import LimitedResolver
from authentication.resolution.rejected_tokens import RejectedTokenAuditor
from authentication.resolution.standbys import StandbyObserver
from authentication.settings import AuthenticationSettings
from authentication.throttling.admission import Throttle
from authentication.throttling.lane import Lane
from authentication.throttling.memory import UnknownTokenCounter, UserCodeBudget, WriteBudget
from counterfoil.foreign_tokens import ForeignTokens
from counterfoil.identity import CredentialKind, LiveCredential
from counterfoil.lookup.replicated import ReplicatedLookup
from counterfoil.resolver import Resolver
from database.engine.lookup import open_lookup
from database.engine.session import Database
from database.settings import DatabaseSettings


class Service:
    """Belongs to the event loop it is opened on."""

    def __init__(
        self,
        *,
        settings: AuthenticationSettings,
        database_settings: DatabaseSettings,
        mail_settings: MailSettings | None = None,
        public_url: str = "http://127.0.0.1:8000",
        application_name: str | None = None,
        instrumentation: Instrumentation = NullInstrumentation(),
    ) -> None:
        self.settings = settings
        self.instrumentation = instrumentation
        self.relying_party = RelyingParty.of(settings, public_url)
        self.database = Database(database_settings)
        event.listen(self.database.sessions, "after_commit", self._report_events)
        self._mailing: Mailing | None = None
        if mail_settings is not None and mail_settings.is_on:
            self._mailing = Mailing(
                mail_settings,
                self.database,
                public_url=public_url,
                is_limited=settings.login_throttle,
                instrumentation=instrumentation,
            )
            event.listen(self.database.sessions, "before_commit", self._mailing.notices.add)
        self.hasher = PasswordHasher(settings)
        self.sealer = Sealer.of(settings.secret_keys)
        self.application_name = application_name or urlsplit(public_url).hostname or ""
        self.unknown_tokens = UnknownTokenCounter(is_on=settings.login_throttle)
        self.write_budget = WriteBudget(settings)
        self.user_code_budget = UserCodeBudget(settings)
        self.issued_tokens = IssuedTokens(self.database)
        self.last_used = LastUsedWriter(settings, self.database, instrumentation)
        self.api_key_uses = ApiKeyUses(settings, self.database)
        self.rejected_tokens = RejectedTokenAuditor(settings, self.database)
        self.pruning_worker = PruningWorker(settings, self.database, instrumentation)
        self._standbys = StandbyObserver(self.database, instrumentation)
        self._lookup = open_lookup(database_settings, self.database.reigns, self._standbys)
        self.resolver = Resolver(
            self._lookup,
            deadline_seconds=database_settings.database_deadline_seconds,
            on_use=self._record_use,
            on_lookup=instrumentation.lookup_finished,
            foreign=ForeignTokens(settings.foreign_tokens_until),
        )
        self.limited_resolver = LimitedResolver(self.resolver, self.api_key_uses)
        self.hashing = HashingQueue(
            settings, instrumentation, is_in_demand=self.resolver.is_in_demand
        )
        self.throttle = Throttle(settings, self.database, self.hashing)
        self.mail_requests = Lane(is_in_demand=self.resolver.is_in_demand)
        self.device_requests = Lane(is_in_demand=self.resolver.is_in_demand, error=HashingBusy)
        self.login_challenges = LoginChallenges(
            settings, self.database, is_in_demand=self.resolver.is_in_demand
        )

    @property
    def has_mail(self) -> bool:
        """Whether mails can be sent."""
        return self._mailing is not None

    @property
    def mailing(self) -> Mailing:
        """What sends mails, in a service that can."""
        if self._mailing is None:
            raise RuntimeError("there is no mail: COUNTERFOIL_MAIL_URL is not set")
        return self._mailing

    @property
    def usable_standbys(self) -> int:
        """How many standbys answer lookups at the moment."""
        return self._lookup.usable_standbys() if isinstance(self._lookup, ReplicatedLookup) else 0

    @property
    def is_fenced(self) -> bool:
        """Whether no token is accepted, as the primary may have been replaced."""
        return isinstance(self._lookup, ReplicatedLookup) and self._lookup.is_fenced()

    async def open(self) -> None:
        """Connect. While the database cannot be reached, this is retried in the background."""
        await self.resolver.open()
        self.last_used.start()
        self.api_key_uses.start()
        self.rejected_tokens.start()
        self.pruning_worker.start()
        if self._mailing is not None:
            self._mailing.worker.start()

    async def check(self) -> None:
        """Raises DatabaseUnavailable unless tokens can be looked up, and rows be read and written.

        A full disk is one that has just been, or that SQLite's folder is on: DiskFull.
        """
        self.database.disk.check()
        await self.resolver.check()
        await self.database.run(lambda db: db.connection(), read_only=True)

    async def close(self) -> None:
        """Finish lookups in flight, write pending batches, disconnect. It need not be open."""
        await self.resolver.close()
        await self._standbys.stop()
        if self._mailing is not None:
            await self._mailing.worker.stop()
        await self.last_used.stop()
        await self.api_key_uses.stop()
        await self.rejected_tokens.stop()
        await asyncio.to_thread(self.pruning_worker.stop)
        await self.throttle.close()
        self.hashing.close()
        # SQLAlchemy keeps what a listener belongs to for ever, and with it the whole service.
        event.remove(self.database.sessions, "after_commit", self._report_events)
        if self._mailing is not None:
            event.remove(self.database.sessions, "before_commit", self._mailing.notices.add)
        self.database.close()

    def _record_use(self, kind: CredentialKind, found: LiveCredential) -> None:
        self.last_used.record_use(kind, found)
        self.api_key_uses.record_use(kind, found)

    def _report_events(self, db: Session) -> None:
        """Called after each commit, as events that were rolled back are not counted."""
        for recorded in audit.take_recorded(db):
            self.instrumentation.event_committed(recorded.event, recorded.detail)
        if self._mailing is not None and outbox.take_added(db):
            self._mailing.worker.wake()
