"""Stores, finds and uses the tokens of mails."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Table,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.orm import Session

from database import clock
from database.models import MailToken

_TABLE = cast(Table, MailToken.__table__)


class CodeCheck(NamedTuple):
    """How a code is checked: at most `attempts` times, and `seconds` after the mail was sent."""

    transaction_digest: bytes
    attempts: int
    seconds: int


def add(db: Session, **fields: Any) -> None:
    """Add a token. One of the same transaction keeps the count of wrong codes."""
    counted = 0
    if (digest := fields.get("transaction_digest")) is not None:
        same = MailToken.transaction_digest == digest
        counted = db.scalar(select(func.max(MailToken.attempts)).where(same)) or 0
    db.add(MailToken(attempts=counted, **fields))
    db.flush()


def find_usable(db: Session, token_digest: bytes) -> MailToken | None:
    """A token that has neither been used nor has expired. Whose it is must be checked."""
    return db.scalar(_usable(MailToken.token_digest == token_digest))


def has_candidates(db: Session, check: CodeCheck) -> bool:
    """Whether there is a token whose code can still be entered."""
    return db.scalar(_candidates(db, check).limit(1)) is not None


def count_attempt(db: Session, check: CodeCheck) -> Sequence[MailToken]:
    """Count an attempt to enter a code, and return the tokens that it may be the code of.

    Empty for an unknown transaction, and once there were too many attempts. To be committed before
    the code is compared, so that parallel guesses cannot exceed the limit.
    """
    # In the order of ids, as everywhere: an UPDATE alone locks in any order.
    candidates = _candidates(db, check).order_by(MailToken.id)
    ids = [token.id for token in db.scalars(candidates.with_for_update())]
    if not ids:
        return []
    return db.scalars(
        update(MailToken)
        .where(MailToken.id.in_(ids))
        .values(attempts=MailToken.attempts + 1)
        .returning(MailToken)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()


def use(db: Session, token_id: int) -> bool:
    """Mark a token as used. Returns False if it was used, has expired or was voided meanwhile.

    The account that it began is no longer kept with it.
    """
    used = db.scalars(
        update(MailToken)
        .where(MailToken.id == token_id, _is_usable())
        .values(used_at=clock.now(), data={})
        .returning(MailToken.id)
        .execution_options(synchronize_session=False)
    )
    return used.one_or_none() is not None


def void_of_user(db: Session, user_id: int, kinds: Sequence[str]) -> None:
    """Delete the unused tokens of these kinds that a user has."""
    db.execute(_void(_TABLE.c.user_id == user_id, _TABLE.c.kind.in_(kinds)))


def list_unused(db: Session, user_id: int, kind: str) -> Sequence[MailToken]:
    """The unused tokens of a kind that a user has."""
    unused = MailToken.used_at.is_(None)
    query = select(MailToken).where(MailToken.user_id == user_id, MailToken.kind == kind, unused)
    return db.scalars(query).all()


def void(db: Session, ids: Sequence[int]) -> None:
    """Delete these tokens, unless they have been used."""
    db.execute(_void(_TABLE.c.id.in_(ids)))


def void_of_address(db: Session, address: str, kind: str, *, applies: bool = True) -> None:
    """Delete the unused tokens of a kind that went to a lower-case address.

    If it does not apply, the same statement finds none, so that its time tells nothing.
    """
    db.execute(_VOID_OF_ADDRESS, {"address": address if applies else "", "kind": kind})


def _void(*conditions: ColumnElement[bool]) -> Delete:
    # Locked in the order of ids, as everywhere.
    found = (
        select(_TABLE.c.id)
        .where(*conditions, _TABLE.c.used_at.is_(None))
        .order_by(_TABLE.c.id)
        .with_for_update()
    )
    return delete(_TABLE).where(_TABLE.c.id.in_(found))


# Built once, as floods of requests for mails cause it.
_VOID_OF_ADDRESS = _void(
    _TABLE.c.address == bindparam("address"), _TABLE.c.kind == bindparam("kind")
)


def _candidates(db: Session, check: CodeCheck) -> Select[MailToken]:
    return _usable(
        MailToken.transaction_digest == check.transaction_digest,
        MailToken.attempts < check.attempts,
        MailToken.created_at > clock.read(db) - timedelta(seconds=check.seconds),
    )


def _usable(*conditions: ColumnElement[bool]) -> Select[MailToken]:
    return select(MailToken).where(*conditions, _is_usable())


def _is_usable() -> ColumnElement[bool]:
    return MailToken.used_at.is_(None) & (MailToken.expires_at > clock.now())
