"""What administrators can do about mails: see the outbox, try again, have a password set anew."""

from sqlalchemy.orm import Session

from authentication import audit
from authentication.administration import paging
from authentication.administration.paging import Page
from authentication.audit import Event
from authentication.credentials.actor import Actor, Targets
from authentication.errors import NotFound, TooManyAttempts
from authentication.service import Service
from authentication.throttling import counting
from database import queries
from database.models import OutgoingMail


def list_mails(db: Session, *, limit: int, cursor: str | None = None) -> Page[OutgoingMail]:
    """The outbox, newest first. Raises InvalidField for an invalid cursor."""
    after = paging.decode_position(cursor, id_is_uuid=False)
    return paging.cut(queries.outbox.search(db, after=after, limit=limit + 1), limit)


def retry(db: Session, actor: Actor, mail_id: int) -> None:
    """Have a mail tried again now, even if it was given up. Raises NotFound."""
    actor.hold(db)
    if not queries.outbox.retry(db, mail_id):
        raise NotFound("There is no such mail that could be sent.")
    audit.record(db, Event.MAIL_RETRIED, origin=actor.origin, subject=None, mail=mail_id)


async def send_reset(service: Service, actor: Actor, user_id: int) -> None:
    """Send a user a mail by which they can set a new password. Nothing else changes.

    Nobody but the owner of the mailbox learns the link. Raises NotFound, also for a disabled user;
    TooManyAttempts.
    """

    def add(db: Session) -> TooManyAttempts | None:
        actor.hold(db, Targets(user_ids=[user_id]))
        user = queries.users.find(db, user_id)
        if user is None or not user.is_active:
            raise NotFound("There is no such active user.")
        exceeded = service.mailing.outbox.add_reset_for(db, user, origin=actor.origin)
        if exceeded:
            return TooManyAttempts(counting.longest_retry_after(exceeded))
        subject = audit.user(user_id)
        audit.record(db, Event.RESET_REQUESTED, origin=actor.origin, subject=subject)
        return None

    # Returned, as raising it would take back what has been counted.
    if error := await service.database.run(add):
        raise error
