"""Searches the live sessions of all users, newest first, at a bounded cost for each page.

What fits few sessions is looked up by its own index. What fits many is met soon on the way from the
newest session to the oldest; and where it is not, a page ends after a stretch of that way with what
it has. Left to choose for itself, PostgreSQL collects and sorts everything that fits.
"""

from collections.abc import Sequence
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


class Found(NamedTuple):
    """`resume` is where the next page begins, None behind the last one."""

    items: Sequence[tuple[LoginSession, User]]
    resume: Position | None


def search_live(
    session: Session,
    *,
    text: str | None = None,
    user_id: int | None = None,
    client: str | None = None,
    ip: str | None = None,
    after: Position | None = None,
    limit: int,
) -> Found:
    """`text` is as in users.search; `client` and `ip` are beginnings of a label and an address."""
    filters = [
        _users(session, text) if text is not None else None,
        _beginning(session, LoginSession.client_id, client) if client is not None else None,
        _beginning(session, LoginSession.ip, ip) if ip is not None else None,
    ]
    given = [one for one in filters if one is not None]
    query = _live().where(*(condition for condition, _ in given))
    if user_id is not None:
        query = query.where(LoginSession.user_id == user_id)
    is_narrow = user_id is not None or any(is_few for _, is_few in given)
    end = None if is_narrow else _end_of_stretch(session, after)
    return _read(session, query, after=after, end=end, limit=limit)


def _live() -> Select[LoginSession, User, str]:
    moment = keyset.stored(LoginSession.created_at)
    query = select(LoginSession, User, moment).join(LoginSession.user)
    return query.where(live.session_is_live())


def _read(
    session: Session,
    query: Select[LoginSession, User, str],
    *,
    after: Position | None,
    end: Position | None,
    limit: int,
) -> Found:
    query = keyset.newest_first(query, *_POSITION, after=after, until=end)
    rows = session.execute(query.limit(limit + 1)).all()
    items = [(login, user) for login, user, _ in rows[:limit]]
    if len(rows) > limit:
        last, _, moment = rows[limit - 1]
        return Found(items, Position(moment, last.id))
    return Found(items, end)


def _users(session: Session, text: str) -> tuple[ColumnElement[bool], bool]:
    """The condition that the user fits the text, and whether few do."""
    matching = users.matching(session, text)
    ids = session.scalars(matching.limit(_FEW + 1)).all()
    is_few = len(ids) <= _FEW
    return LoginSession.user_id.in_(ids if is_few else matching), is_few


def _beginning(session: Session, column: Any, text: str) -> tuple[ColumnElement[bool], bool]:
    """The condition that a column begins with the text, and whether it does in few rows."""
    condition = starts_with(session, column, text)
    few = select(LoginSession.id).where(_UNREVOKED, condition).limit(_FEW + 1)
    ids = session.scalars(few).all()
    is_few = len(ids) <= _FEW
    return LoginSession.id.in_(ids) if is_few else condition, is_few


def _end_of_stretch(session: Session, after: Position | None) -> Position | None:
    """The last session that a page looks at; None if it comes to the end before."""
    query = select(keyset.stored(LoginSession.created_at), LoginSession.id).where(_UNREVOKED)
    query = keyset.newest_first(query, *_POSITION, after=after)
    row = session.execute(query.offset(_STRETCH - 1).limit(1)).one_or_none()
    return Position(*row) if row else None
