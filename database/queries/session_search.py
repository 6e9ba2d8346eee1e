"""Searches the live sessions of all users, newest first, at a bounded cost for each page.

What fits few sessions is looked up by its own index. What fits many is met soon on the way from the
newest session to the oldest; and where it is not, a page ends after a stretch of that way with what
it has. Left to choose for itself, PostgreSQL collects and sorts everything that fits.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from database import keyset
from database.keyset import Position
from database.models import LoginSession, User
from database.queries import live, users
from database.search import starts_with

# More matches than these count as many.
_FEW = 1000
# How many sessions one page looks at.
_STRETCH = 10_000

_UNREVOKED = LoginSession.revoked_at.is_(None)
_POSITION = (LoginSession.created_at, LoginSession.id)


class Order(StrEnum):
    """How sessions can be sorted."""

    NEWEST = "newest"
    OLDEST = "oldest"
    USED = "used"
    IDLE = "idle"
    ENDING = "ending"


_MOMENTS = {
    Order.NEWEST: LoginSession.created_at,
    Order.OLDEST: LoginSession.created_at,
    Order.USED: LoginSession.last_used_at,
    Order.IDLE: LoginSession.last_used_at,
    Order.ENDING: LoginSession.expires_at,
}


class Found(NamedTuple):
    """`resume` is where the next page begins, None behind the last one.

    `order` is how they are sorted: what fits many sessions comes newest first, whatever was wanted.
    """

    items: Sequence[tuple[LoginSession, User]]
    resume: Position | None
    order: Order


def search_live(
    db: Session,
    *,
    text: str | None = None,
    user_id: int | None = None,
    client: str | None = None,
    ip: str | None = None,
    order: Order = Order.NEWEST,
    after: Position | None = None,
    limit: int,
) -> Found:
    """`text` is as in users.search; `client` and `ip` are beginnings of a label and an address."""
    filters = [
        _users(db, text) if text is not None else None,
        _beginning(db, LoginSession.client_id, client) if client is not None else None,
        _beginning(db, LoginSession.ip, ip) if ip is not None else None,
    ]
    given = [one for one in filters if one is not None]
    is_narrow = user_id is not None or any(is_few for _, is_few in given)
    order = order if is_narrow else Order.NEWEST
    query = _live(order).where(*(condition for condition, _ in given))
    if user_id is not None:
        query = query.where(LoginSession.user_id == user_id)
    if is_narrow:
        return _cut(db, _sort(query, order, after), order, end=None, limit=limit)
    end = _end_of_stretch(db, after)
    query = keyset.newest_first(query, *_POSITION, after=after, until=end)
    return _cut(db, query, order, end=end, limit=limit)


def _live(order: Order) -> Select[LoginSession, User, str]:
    moment = keyset.stored(_MOMENTS[order])
    query = select(LoginSession, User, moment).join(LoginSession.user)
    return query.where(live.session_is_live())


def _sort(
    query: Select[LoginSession, User, str], order: Order, after: Position | None
) -> Select[LoginSession, User, str]:
    is_descending = order in {Order.NEWEST, Order.USED}
    sort = keyset.newest_first if is_descending else keyset.oldest_first
    return sort(query, _MOMENTS[order], LoginSession.id, after=after)


def _cut(
    db: Session,
    query: Select[LoginSession, User, str],
    order: Order,
    *,
    end: Position | None,
    limit: int,
) -> Found:
    """A page's worth; behind it comes the rest of the rows, or else what is behind `end`."""
    rows = db.execute(query.limit(limit + 1)).all()
    items = [(session, user) for session, user, _ in rows[:limit]]
    if len(rows) > limit:
        last, _, moment = rows[limit - 1]
        return Found(items, Position(moment, last.id), order)
    return Found(items, end, order)


def _users(db: Session, text: str) -> tuple[ColumnElement[bool], bool]:
    """The condition that the user fits the text, and whether few do."""
    matching = users.matching(db, text)
    ids = db.scalars(matching.limit(_FEW + 1)).all()
    is_few = len(ids) <= _FEW
    return LoginSession.user_id.in_(ids if is_few else matching), is_few


def _beginning(db: Session, column: Any, text: str) -> tuple[ColumnElement[bool], bool]:
    """The condition that a column begins with the text, and whether it does in few rows."""
    condition = starts_with(db, column, text)
    few = select(LoginSession.id).where(_UNREVOKED, condition).limit(_FEW + 1)
    ids = db.scalars(few).all()
    is_few = len(ids) <= _FEW
    return LoginSession.id.in_(ids) if is_few else condition, is_few


def _end_of_stretch(db: Session, after: Position | None) -> Position | None:
    """The last session that a page looks at; None if it comes to the end before."""
    query = select(keyset.stored(LoginSession.created_at), LoginSession.id).where(_UNREVOKED)
    query = keyset.newest_first(query, *_POSITION, after=after)
    row = db.execute(query.offset(_STRETCH - 1).limit(1)).one_or_none()
    return Position(*row) if row else None
