"""Adds mails to the outbox, leases them to workers, and records what became of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from database import clock, keyset
from database.keyset import Position
from database.models import OutgoingMail, User

# Statements that floods cause are built once: building one takes longer than to run it.
_TABLE = cast(Table, OutgoingMail.__table__)
_ADD = insert(_TABLE)
_UNFINISHED = _TABLE.c.sent_at.is_(None) & _TABLE.c.failed_at.is_(None)

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
    db.execute(_ADD, {**values, "error_code": THROTTLED if is_throttled else None})


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
    values = {"of_kind": kind, "after_id": after_id}
    if address:
        db.execute(_SUPERSEDE_OF_ADDRESS, {**values, "whose": address if applies else ""})
    else:
        db.execute(_SUPERSEDE_OF_USER, {**values, "whose": user_id})


def _supersede(whose: ColumnElement[Any]) -> Update:
    found = (
        select(_TABLE.c.id)
        .where(
            _UNFINISHED,
            _TABLE.c.kind == bindparam("of_kind"),
            whose == bindparam("whose"),
            _TABLE.c.id > bindparam("after_id"),
        )
        .order_by(_TABLE.c.id)
        .with_for_update()
    )
    superseded = update(_TABLE).where(_TABLE.c.id.in_(found))
    return superseded.values(failed_at=clock.now(), error_code=SUPERSEDED, data={})


_SUPERSEDE_OF_USER = _supersede(_TABLE.c.user_id)
_SUPERSEDE_OF_ADDRESS = _supersede(_TABLE.c.address)


def lock_unsent(db: Session, kind: str, *, address: str) -> None:
    """Lock the unsent mails of a kind to a lower-case address."""
    found = select(OutgoingMail.id).where(
        _UNFINISHED, OutgoingMail.kind == kind, OutgoingMail.address == address
    )
    db.execute(found.order_by(OutgoingMail.id).with_for_update()).all()


def is_due(db: Session) -> bool:
    """Whether a mail can be leased. Only reads."""
    return bool(db.scalar(_ANY_DUE))


def remove_pointless(db: Session, *, kind: str, limit: int) -> int:
    """Delete mails that nobody will get: throttled ones, and those of a kind to no active user.

    Clients can make up any number of addresses, so many are deleted by one statement. Returns how
    many there were.
    """
    ids = db.scalars(_POINTLESS, {"of_kind": kind, "most": limit}).all()
    if ids:
        db.execute(delete(_TABLE).where(_TABLE.c.id.in_(ids)))
    return len(ids)


def _is_due() -> ColumnElement[bool]:
    is_free = _TABLE.c.leased_until.is_(None) | (_TABLE.c.leased_until <= clock.now())
    return _UNFINISHED & (_TABLE.c.next_attempt_at <= clock.now()) & is_free


def _pointless() -> Select[int]:
    others = (func.lower(_TABLE.c.data[name].as_string()) for name in SPELLINGS)
    is_theirs = func.lower(User.email).in_([_TABLE.c.address, *others])
    theirs = exists().where(is_theirs, User.is_active)
    is_for_nobody = (_TABLE.c.kind == bindparam("of_kind")) & ~theirs
    return (
        select(_TABLE.c.id)
        .where(_is_due(), is_for_nobody | (_TABLE.c.error_code == THROTTLED))
        .order_by(_TABLE.c.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )


_ANY_DUE = select(exists(select(_TABLE.c.id).where(_is_due())))
_POINTLESS = _pointless()


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


def _is_lease_of(mail: OutgoingMail) -> tuple[ColumnElement[bool], ...]:
    return OutgoingMail.id == mail.id, OutgoingMail.leased_until == mail.leased_until


def _update(db: Session, mail: OutgoingMail, **values: Any) -> None:
    db.execute(
        update(OutgoingMail)
        .where(_UNFINISHED, *_is_lease_of(mail))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
