"""Adds mails to the outbox, leases them to workers, and records what became of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from database import clock, keyset
from database.keyset import Position
from database.models import OutgoingMail, User

_UNFINISHED = OutgoingMail.sent_at.is_(None) & OutgoingMail.failed_at.is_(None)

# What `data` says of other spellings of the address under which an account may have been moved.
SPELLINGS = ("typed", "decomposed")
SUPERSEDED = "superseded"
THROTTLED = "throttled"


def add(
    db: Session,
    *,
    kind: str,
    address: str,
    locale: str,
    data: dict[str, Any],
    user_id: int | None = None,
    is_throttled: bool = False,
) -> None:
    """Add a mail, to be sent at once; or to be removed in its place, if it is throttled."""
    values = {"kind": kind, "address": address, "locale": locale, "data": data, "user_id": user_id}
    code = THROTTLED if is_throttled else None
    db.execute(insert(OutgoingMail).values(**values, error_code=code))


def supersede(
    db: Session,
    kind: str,
    *,
    address: str | None = None,
    user_id: int | None = None,
    after_id: int = 0,
    applies: bool = True,
) -> None:
    """Give up the unsent mails of a kind to an address, or of a user, as a newer one is added.

    Waits for one whose token is being made, so that its token can then be voided. If it does not
    apply, the same statement finds none, so that its time tells nothing.
    """
    of_user = OutgoingMail.user_id == user_id
    of_address = OutgoingMail.address == (address if applies else "")
    found = (
        select(OutgoingMail.id)
        .where(
            _UNFINISHED,
            OutgoingMail.kind == kind,
            of_address if address else of_user,
            OutgoingMail.id > after_id,
        )
        .order_by(OutgoingMail.id)
        .with_for_update()
    )
    db.execute(
        update(OutgoingMail)
        .where(OutgoingMail.id.in_(found))
        .values(failed_at=clock.now(), error_code=SUPERSEDED, data={})
        .execution_options(synchronize_session=False)
    )


def lock_unsent(db: Session, kind: str, *, address: str) -> None:
    """Lock the unsent mails of a kind to a lower-case address."""
    found = select(OutgoingMail.id).where(
        _UNFINISHED, OutgoingMail.kind == kind, OutgoingMail.address == address
    )
    db.execute(found.order_by(OutgoingMail.id).with_for_update()).all()


def is_due(db: Session) -> bool:
    """Whether a mail can be leased. Only reads."""
    return bool(db.scalar(select(exists(select(OutgoingMail.id).where(_is_due())))))


def remove_pointless(db: Session, *, kind: str, limit: int) -> int:
    """Delete mails that nobody will get: throttled ones, and those of a kind to no active user.

    Clients can make up any number of addresses, so many are deleted by one statement. Returns how
    many there were.
    """
    others = (func.lower(OutgoingMail.data[name].as_string()) for name in SPELLINGS)
    is_theirs = func.lower(User.email).in_([OutgoingMail.address, *others])
    theirs = exists().where(is_theirs, User.is_active)
    is_for_nobody = (OutgoingMail.kind == kind) & ~theirs
    found = (
        select(OutgoingMail.id)
        .where(_is_due(), is_for_nobody | (OutgoingMail.error_code == THROTTLED))
        .order_by(OutgoingMail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = db.scalars(found).all()
    if ids:
        gone = delete(OutgoingMail).where(OutgoingMail.id.in_(ids))
        db.execute(gone.execution_options(synchronize_session=False))
    return len(ids)


def lease(db: Session, *, limit: int, seconds: int) -> Sequence[OutgoingMail]:
    """Lease mails that are due to the caller alone, those first that have waited for longest.

    The lease ends by itself, so that a mail is sent by another worker if the caller dies.
    """
    is_throttled = OutgoingMail.error_code.is_not_distinct_from(THROTTLED)
    due = (
        select(OutgoingMail.id)
        .where(_is_due(), ~is_throttled)
        .order_by(OutgoingMail.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = db.scalars(due).all()
    if not ids:
        return []
    until = clock.read(db) + timedelta(seconds=seconds)
    leased = db.scalars(
        update(OutgoingMail)
        .where(OutgoingMail.id.in_(ids))
        .values(leased_until=until, attempts=OutgoingMail.attempts + 1)
        .returning(OutgoingMail)
        .execution_options(synchronize_session=False)
    )
    return sorted(leased.all(), key=lambda mail: (mail.next_attempt_at, mail.id))


def lock_leased(db: Session, mail: OutgoingMail) -> bool:
    """Lock a mail that the caller has leased. Returns False if it must not send it any more.

    It may have been superseded, or the lease may have ended and another worker have it.
    """
    locked = select(OutgoingMail.id).where(_UNFINISHED, *_is_lease_of(mail)).with_for_update()
    return db.scalar(locked) is not None


def record_sent(db: Session, mail: OutgoingMail) -> None:
    """A mail server has taken it. What it said is not kept."""
    _update(db, mail, leased_until=None, data={}, sent_at=clock.now(), error_code=None)


def record_failed(db: Session, mail: OutgoingMail, code: str) -> None:
    """Give it up. What it says is kept, as an administrator may have it tried once more."""
    _update(db, mail, leased_until=None, failed_at=clock.now(), error_code=code)


def record_retry(db: Session, mail: OutgoingMail, code: str, *, at: datetime) -> None:
    """Try it again later, with all that it says."""
    _update(db, mail, leased_until=None, next_attempt_at=at, error_code=code)


def release(db: Session, mails: Sequence[OutgoingMail]) -> None:
    """Give leased mails back that were not tried."""
    for mail in mails:
        _update(db, mail, leased_until=None, attempts=mail.attempts - 1)


def remove(db: Session, mail: OutgoingMail) -> None:
    """Delete one that is to be sent to nobody: clients can make up any number of addresses."""
    db.execute(
        delete(OutgoingMail).where(*_is_lease_of(mail)).execution_options(synchronize_session=False)
    )


def retry(db: Session, mail_id: int) -> bool:
    """Make an unfinished or failed mail due at once. Returns False if there is none."""
    again = (
        update(OutgoingMail)
        .where(OutgoingMail.id == mail_id, OutgoingMail.sent_at.is_(None), _has_all_it_says())
        .values(failed_at=None, leased_until=None, next_attempt_at=clock.now(), attempts=0)
        .returning(OutgoingMail.id)
    )
    return db.scalar(again.execution_options(synchronize_session=False)) is not None


def retry_all(db: Session) -> int:
    """Make all unfinished mails that wait for their next attempt due at once. Returns how many."""
    again = (
        update(OutgoingMail)
        .where(_UNFINISHED, OutgoingMail.leased_until.is_(None), OutgoingMail.attempts > 0)
        .values(next_attempt_at=clock.now())
        .returning(OutgoingMail.id)
    )
    return len(db.scalars(again.execution_options(synchronize_session=False)).all())


def search(
    db: Session, *, unsent: bool = False, after: Position | None = None, limit: int
) -> Sequence[tuple[OutgoingMail, str]]:
    """Mails, newest first, each with its time as stored, for the position of the next page."""
    query = select(OutgoingMail, keyset.stored(OutgoingMail.created_at))
    if unsent:
        query = query.where(OutgoingMail.sent_at.is_(None))
    query = keyset.newest_first(query, OutgoingMail.created_at, OutgoingMail.id, after=after)
    return [(mail, stored) for mail, stored in db.execute(query.limit(limit))]


def count_unfinished(db: Session) -> int:
    """How many wait to be sent."""
    return db.scalar(select(func.count()).select_from(OutgoingMail).where(_UNFINISHED)) or 0


def _has_all_it_says() -> ColumnElement[bool]:
    """One that was superseded has lost what it said."""
    return OutgoingMail.error_code.is_(None) | (OutgoingMail.error_code != SUPERSEDED)


def _is_due() -> ColumnElement[bool]:
    is_free = OutgoingMail.leased_until.is_(None) | (OutgoingMail.leased_until <= clock.now())
    return _UNFINISHED & (OutgoingMail.next_attempt_at <= clock.now()) & is_free


def _is_lease_of(mail: OutgoingMail) -> tuple[ColumnElement[bool], ...]:
    return OutgoingMail.id == mail.id, OutgoingMail.leased_until == mail.leased_until


def _update(db: Session, mail: OutgoingMail, **values: Any) -> None:
    db.execute(
        update(OutgoingMail)
        .where(_UNFINISHED, *_is_lease_of(mail))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
