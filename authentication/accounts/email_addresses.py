"""Verifies the addresses of users, changes them once the new one is confirmed, and back again."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import names, registration, users
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys, sessions
from authentication.credentials.actor import Actor
from authentication.errors import (
    AlreadyVerified,
    EmailTaken,
    InvalidMailToken,
    TooManyAttempts,
)
from authentication.mail import outbox, redemption
from authentication.mail.kinds import CONFIRMING, LinkKind, MailKind
from authentication.mail.redemption import Found, Proof
from authentication.service import Service
from authentication.throttling import counting, known_networks
from database import clock, queries
from database.models import MailToken, User


@dataclass(frozen=True, slots=True)
class EmailStatus:
    """The address of a user, whether it is verified, and which one waits to be confirmed."""

    email: str
    email_verified: bool
    pending_email: str | None


def read_status(db: Session, user_id: int) -> EmailStatus:
    """Raises NotFound."""
    return status_of(db, users.get(db, user_id))


def status_of(db: Session, user: User) -> EmailStatus:
    """The same of a user who is loaded."""
    ends_at = user.pending_email_expires_at
    is_pending = ends_at is not None and ends_at > clock.read(db)
    pending = user.pending_email if is_pending else None
    return EmailStatus(user.email, user.is_email_verified, pending)


async def request_verification(service: Service, actor: Actor) -> str:
    """Have a mail sent to the actor's address. Returns its transaction id.

    Raises AlreadyVerified, TooManyAttempts.
    """

    def ask(db: Session) -> str | list[counting.Exceeded]:
        user = actor.hold(db).user
        if user.is_email_verified:
            raise AlreadyVerified
        return service.mailing.outbox.add_verification(db, user, origin=actor.origin)

    asked = await service.database.run(ask)
    if isinstance(asked, list):
        raise TooManyAttempts(counting.longest_retry_after(asked))
    return asked


def request_change(
    db: Session, service: Service, user: User, address: str, origin: Origin
) -> TooManyAttempts | None:
    """Have a mail sent to the address that a locked user wants to have. Returns what prevents it.

    If the address is somebody else's, they get a mail, and nothing tells that there is one.
    """
    asked = service.mailing.outbox.add_change(db, user, address, origin=origin)
    if isinstance(asked, list):
        return TooManyAttempts(counting.longest_retry_after(asked))
    subject = audit.user(user.id)
    audit.record(db, Event.EMAIL_CHANGE_REQUESTED, origin=origin, subject=subject)
    return None


def cancel_change(db: Session, user: User) -> None:
    """A locked user wants to keep the present address."""
    outbox.void(db, user.id, [LinkKind.CHANGE])
    queries.users.set_pending_email(db, user, None)


async def confirm(service: Service, proof: Proof, *, origin: Origin) -> LinkKind:
    """Confirm an address: the present one, a new one, or that of a registration.

    Returns which it was. Raises InvalidMailToken, TooManyAttempts, ReleasedNameLimitReached.
    """
    found = await redemption.find(service, proof, CONFIRMING, origin=origin)
    confirmation = _Confirmation(service, origin)
    try:
        await service.database.run(lambda db: confirmation.store(db, found))
    except IntegrityError:
        # A concurrent request has taken the address.
        raise InvalidMailToken from None
    return LinkKind(found.token.kind)


@dataclass(frozen=True, slots=True)
class _Confirmation:
    service: Service
    origin: Origin

    def store(self, db: Session, found: Found) -> None:
        match found.token.kind:
            case LinkKind.REGISTER:
                registration.begin_confirmed(db, found.token, origin=self.origin)
            case LinkKind.CHANGE:
                self._change(db, found.token)
            case _:
                self._verify(db, found.token)

    def _verify(self, db: Session, token: MailToken) -> None:
        user = redemption.use(db, token)
        queries.users.set_verified_email(db, user)
        outbox.void(db, user.id, [LinkKind.VERIFY])
        self._record(db, Event.EMAIL_VERIFIED, user)

    def _change(self, db: Session, token: MailToken) -> None:
        user = redemption.use(db, token)
        old = user.email
        was_verified = user.is_email_verified
        try:
            set_address(db, self.service, user, token.address)
        except EmailTaken:
            # It would tell nothing: the holder of the link has the mailbox. But nothing is changed.
            raise InvalidMailToken from None
        self._record(db, Event.EMAIL_CHANGED, user)
        self.service.mailing.outbox.add_notice(
            db,
            MailKind.EMAIL_CHANGED,
            user.id,
            old.lower(),
            origin=self.origin,
            data={"was_verified": was_verified},
        )

    def _record(self, db: Session, event: Event, user: User) -> None:
        subject = audit.user(user.id)
        audit.record(db, event, origin=self.origin.acting_as(subject), subject=subject)


def set_address(
    db: Session, service: Service, user: User, address: str, *, is_limited: bool = True
) -> None:
    """Give a locked user another address, which is verified. Voids every link but those back.

    Raises EmailTaken, ReleasedNameLimitReached.
    """
    users.reject_taken(db, email=address, username=None, user_id=user.id)
    before = names.names_of(user)
    outbox.void_all(db, user)
    user.email = address
    db.flush()
    queries.users.set_verified_email(db, user)
    names.record_change(db, service.settings, user, before, is_limited=is_limited)


async def revert(service: Service, proof: Proof, *, origin: Origin) -> None:
    """Give a user the address back to which the link was sent, and end all sessions.

    Raises InvalidMailToken, TooManyAttempts; EmailTaken if somebody else has the address by now.
    """
    found = await redemption.find(service, proof, [LinkKind.REVERT], origin=origin)
    await service.database.run(lambda db: _revert(db, service, found.token, origin))


def _revert(db: Session, service: Service, token: MailToken, origin: Origin) -> None:
    user = redemption.use(db, token)
    origin = origin.acting_as(audit.user(user.id))
    # However often a thief has changed it, it can be changed back.
    set_address(db, service, user, token.address, is_limited=False)
    outbox.void_later_changes(db, user, token)
    audit.record(db, Event.EMAIL_REVERTED, origin=origin, subject=audit.user(user.id))
    sessions.revoke_all(db, user.id, origin=origin, reason=Reason.EMAIL_REVERTED)
    known_networks.forget(db, user.id, keep=origin.network)
    if service.mailing.settings.reset_ends_api_keys:
        api_keys.revoke_all(db, user.id, origin=origin, reason=Reason.EMAIL_REVERTED)
