"""All that a service with mail has: outbox, notices, templates, and the worker that sends."""

from authentication.instrumentation import Instrumentation
from authentication.mail.links import Links
from authentication.mail.notices import Notices
from authentication.mail.outbox import Outbox
from authentication.mail.sending.composing import Composer
from authentication.mail.sending.letters import Letters
from authentication.mail.sending.worker import OutboxWorker
from authentication.mail.settings import MailSettings
from authentication.throttling.memory import RecentRejections
from database.engine.session import Database


class Mailing:
    """`public_url` is where our own pages are reached, to which links lead by default."""

    def __init__(
        self,
        settings: MailSettings,
        database: Database,
        *,
        public_url: str,
        is_limited: bool,
        instrumentation: Instrumentation,
    ) -> None:
        self.settings = settings
        self.links = Links(settings, public_url)
        self.outbox = Outbox(settings, is_limited=is_limited)
        self.notices = Notices(self.outbox)
        self.rejections = RecentRejections()
        self.letters = Letters(settings)
        self.worker = OutboxWorker(
            settings,
            database,
            Composer(settings, self.links),
            self.letters,
            instrumentation,
        )
