"""Searches the live sessions of all users, at a bounded cost for each page.

A filter that matches few sessions is answered from its own index and sorted as requested. A filter
that matches many is applied while scanning from the newest session to the oldest; each page scans a
bounded number of sessions and may therefore hold fewer matches than its limit. With one query for
both cases, PostgreSQL would collect and sort all matches.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from database import keyset
from database.keyset import Position
from database.models import LoginSession, User
from database.queries import live, users
from database.search import starts_with

# The most matches that still count as few.
_FEW = 1000
# The most sessions that one page scans.
_SCAN_LENGTH = 10_000

_UNREVOKED = LoginSession.revoked_at.is_(None)
_POSITION = (LoginSession.created_at, LoginSession.id)


class Order(StrEnum):
    """The orders in which sessions can be sorted."""

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
    """`resume` is the position where the next page begins, None after the last page.

    `order` is the order in use: many matches come newest first, whichever order was requested.
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
    """`text` is as in users.search. `client` and `ip` are prefixes of `client_id` and of the IP."""
    filters = _filters(db, text=text, user_id=user_id, client=client, ip=ip)
    matches_few = any(is_few for _, is_few in filters)
    order = order if matches_few else Order.NEWEST
    query = _live(order).where(*(condition for condition, _ in filters))
    if matches_few:
        return _cut(db, _sort(query, order, after), order, end=None, limit=limit)
    end = _end_of_scan(db, after)
    query = keyset.newest_first(query, *_POSITION, after=after, until=end)
    return _cut(db, query, order, end=end, limit=limit)


def count_live(
    db: Session,
    *,
    text: str | None = None,
    user_id: int | None = None,
    client: str | None = None,
    ip: str | None = None,
    limit: int,
) -> int:
    """How many live sessions `search_live` finds, or `limit` if there are more.

    Where most sessions that match are not live, this takes long.
    """
    filters = _filters(db, text=text, user_id=user_id, client=client, ip=ip)
    query = select(LoginSession.id).join(LoginSession.user).where(live.session_is_usable())
    query = query.where(*(condition for condition, _ in filters))
    if not any(is_few for _, is_few in filters):
        query = keyset.newest_first(query, *_POSITION, after=None)
    return db.scalar(select(func.count()).select_from(query.limit(limit).subquery())) or 0


def _filters(
    db: Session, *, text: str | None, user_id: int | None, client: str | None, ip: str | None
) -> list[tuple[ColumnElement[bool], bool]]:
    """The conditions of the filters that are given, and whether few sessions match each."""
    given = []
    if text is not None:
        given.append(_users(db, text))
    if user_id is not None:
        given.append((LoginSession.user_id == user_id, True))
    if client is not None:
        given.append(_prefix(db, LoginSession.client_id, client))
    if ip is not None:
        given.append(_prefix(db, LoginSession.ip, ip))
    return given


def _live(order: Order) -> Select[LoginSession, User, str]:
    moment = keyset.stored(_MOMENTS[order])
    query = select(LoginSession, User, moment).join(LoginSession.user)
    return query.where(live.session_is_usable())


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
    """One page. The next one begins after its last item, or at `end` if no more items follow."""
    rows = db.execute(query.limit(limit + 1)).all()
    items = [(session, user) for session, user, _ in rows[:limit]]
    if len(rows) > limit:
        last, _, moment = rows[limit - 1]
        return Found(items, Position(moment, last.id), order)
    return Found(items, end, order)


def _users(db: Session, text: str) -> tuple[ColumnElement[bool], bool]:
    """The condition that the user matches the text, and whether few users do."""
    matching = users.matching_ids(db, text)
    ids = db.scalars(matching.limit(_FEW + 1)).all()
    is_few = len(ids) <= _FEW
    return LoginSession.user_id.in_(ids if is_few else matching), is_few


def _prefix(db: Session, column: Any, text: str) -> tuple[ColumnElement[bool], bool]:
    """The condition that a column begins with the text, and whether few sessions match."""
    condition = starts_with(db, column, text)
    few = select(LoginSession.id).where(_UNREVOKED, condition).limit(_FEW + 1)
    ids = db.scalars(few).all()
    is_few = len(ids) <= _FEW
    return LoginSession.id.in_(ids) if is_few else condition, is_few


def _end_of_scan(db: Session, after: Position | None) -> Position | None:
    """The last session that a page scans. None if fewer than _SCAN_LENGTH are left."""
    query = select(keyset.stored(LoginSession.created_at), LoginSession.id).where(_UNREVOKED)
    query = keyset.newest_first(query, *_POSITION, after=after)
    row = db.execute(query.offset(_SCAN_LENGTH - 1).limit(1)).one_or_none()
    return Position(*row) if row else None
