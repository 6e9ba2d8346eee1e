"""Finds, locks and changes users, and finds their roles."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session, joinedload, selectinload

from database import limits
from database.models import Role, User, user_roles
from database.models.user import NO_PASSWORD
from database.queries import released_names
from database.search import has_words
from database.text import decompose, is_comparable

# A user has a few roles and addresses only, so that a join is cheaper than another statement.
_WITH_ROLES = joinedload(User.roles)
_WITH_KNOWN_ADDRESSES = joinedload(User.known_addresses)


def find(db: Session, user_id: int) -> User | None:
    """A user by id, with roles."""
    return _one(db, select(User).where(User.id == user_id).options(_WITH_ROLES))


def find_by_name(db: Session, typed: str, *, normalised: str) -> User | None:
    """A user by e-mail address or username, with roles and known addresses.

    A name is found as it was typed, in its normalised form, and with accents that are characters of
    their own. If there is an account for each, it is the one that was typed.
    """
    if not is_comparable(typed):
        return None
    forms = {"normalised": normalised, "decomposed": decompose(normalised)}
    found = db.scalars(_BY_NAME, {"typed": typed, **forms}).unique()
    spellings = {typed.lower(), *forms.values()}
    return next((user for user in found if _is_name_of(user, spellings)), None)


def _is_name_of(user: User, spellings: set[str]) -> bool:
    """Whether a user that the database has found by a name has it by Python's rules as well.

    PostgreSQL lowers "İda" to "ida". If that found an account, its throttle would tell that the
    account exists: names without one are counted in the form that Python lowers.
    """
    names = {name.lower() for name in (user.email, user.username) if name is not None}
    return not names.isdisjoint(spellings)


def lock(db: Session, user_id: int) -> User | None:
    """A user by id, with roles, locked until the end of the transaction."""
    query = select(User).where(User.id == user_id).options(_WITH_ROLES)
    locking = query.with_for_update(of=User, key_share=True)
    return _one(db, locking.execution_options(populate_existing=True))


def lock_many(db: Session, user_ids: Collection[int], *, for_deletion: bool) -> dict[int, User]:
    """Users by id, without roles, locked in the order of their ids.

    `for_deletion` also waits for transactions that add rows which refer to the users.
    """
    query = select(User).where(User.id.in_(user_ids)).order_by(User.id)
    locking = query.with_for_update(of=User, key_share=not for_deletion)
    users = db.scalars(locking.execution_options(populate_existing=True))
    return {user.id: user for user in users}


class Grant(NamedTuple):
    """What a role gives, and whether only to a session with a second factor."""

    scopes: str
    requires_second_factor: bool


def lock_grants(db: Session, user_id: int) -> dict[str, Grant]:
    """What each role of a user gives, who must be locked. The roles cannot be taken from them.

    A statement of its own: one that had to wait for the user would see the roles as they were
    before it waited.
    """
    query = (
        select(Role.name, Role.scopes, Role.requires_second_factor)
        .join_from(user_roles, Role)
        .where(user_roles.c.user_id == user_id)
        .order_by(Role.name)
    )
    rows = db.execute(query.with_for_update(of=user_roles, read=True, key_share=True))
    return {name: Grant(scopes, is_demanding) for name, scopes, is_demanding in rows}


def requires_second_factor(db: Session, user_id: int) -> bool:
    """Whether a role of the user requires a second factor."""
    has_role = User.roles.any(Role.requires_second_factor)
    return db.scalar(select(User.id).where(User.id == user_id, has_role)) is not None


def _one(db: Session, query: Select[User]) -> User | None:
    return db.scalars(query).unique().one_or_none()


def hold(db: Session, user_id: int) -> User | None:
    """A user by id, who is neither deleted nor given another id until the transaction is over."""
    return _one(db, _held(User.id == user_id))


def hold_by_email(db: Session, address: str, *, spellings: Sequence[str] = ()) -> User | None:
    """A user by lower-case address, in the same way.

    Or by another spelling of it, in the order in which they are given, with capitals or without.
    """
    email = func.lower(User.email)
    forms = [*(func.lower(spelling) for spelling in spellings), address]
    preference = case(*((email == form, place) for place, form in enumerate(forms)))
    return db.scalar(_held(email.in_(forms)).order_by(preference).limit(1))


def _held(condition: ColumnElement[bool]) -> Select[User]:
    query = select(User).where(condition).with_for_update(of=User, read=True, key_share=True)
    return query.execution_options(populate_existing=True)


def find_taken(db: Session, names: Mapping[str, bytes], *, besides: int | None = None) -> set[str]:
    """Which of these lower-case addresses and usernames other users than that one have.

    Or have given up a short while ago, for which there is a digest of each name. An account that
    was moved may have a name with accents that are characters of their own.
    """
    spelt = {form: name for name in names for form in (name, decompose(name))}
    columns = func.lower(User.email), func.lower(User.username)
    held = select(*columns).where(or_(*(column.in_(spelt) for column in columns)))
    if besides is not None:
        held = held.where(User.id != besides)
    kept = [
        select(literal(name), literal(name)).where(
            released_names.is_kept_from(digest, user_id=besides)
        )
        for name, digest in names.items()
    ]
    rows = db.execute(union_all(held, *kept))
    return {spelt[name] for row in rows for name in row if name in spelt}


class Order(StrEnum):
    """The orders in which users can be sorted."""

    NEWEST = "newest"
    OLDEST = "oldest"
    EMAIL = "email"


def search(
    db: Session, matching: Select[User], order: Order, after_id: int | None, *, limit: int
) -> Sequence[User]:
    """Users with roles, in this order, after the one with this id."""
    query = matching.options(selectinload(User.roles)).limit(limit)
    key: Any = func.lower(User.email) if order is Order.EMAIL else User.id
    query = query.order_by(key.desc() if order is Order.NEWEST else key)
    if after_id is not None:
        last = select(key).where(User.id == after_id).scalar_subquery()
        query = query.where(key < last if order is Order.NEWEST else key > last)
    return db.scalars(query).all()


def count(matching: Select[User], db: Session, *, most: int) -> int | None:
    """How many users match; None if there are more than `most`."""
    counted = matching.with_only_columns(User.id).limit(most + 1).subquery()
    found = db.scalar(select(func.count()).select_from(counted)) or 0
    return found if found <= most else None


def select_matching(
    db: Session, *, text: str | None, active: bool | None, role: str | None
) -> Select[User]:
    """Selects users. `text` is matched with the beginnings of words in names."""
    query = select(User)
    if text is not None:
        query = query.where(User.id.in_(matching_ids(db, text)))
    if active is not None:
        query = query.where(User.is_active.is_(active))
    if role is not None:
        query = query.where(User.roles.any(Role.name == role))
    return query


def find_emails(db: Session, user_ids: Sequence[int]) -> dict[int, str]:
    """The e-mail addresses of these users by id. Users that do not exist are left out."""
    rows = db.execute(select(User.id, User.email).where(User.id.in_(user_ids)))
    return dict(rows.all())


def matching_ids(db: Session, text: str) -> Select[tuple[int]]:
    """Selects the ids of users in whose names and addresses each word of the text begins a word.

    Materialised: PostgreSQL overestimates the matches of short prefixes, and would scan all users
    until a page is full.
    """
    words = has_words(db, text, User.email, User.username, User.name, User.surname)
    found = (
        select(User.id).where(words).cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
    )
    return select(found.c.id)


def lock_all(db: Session) -> None:
    """Lock every user until the end of the transaction."""
    db.execute(select(User.id).order_by(User.id).with_for_update(key_share=True)).all()


def raise_epoch(db: Session, user_id: int) -> int:
    """Invalidate every session of the user, and logins in progress. Returns the new epoch."""
    return db.scalars(
        update(User)
        .where(User.id == user_id)
        .values(_keep_updated_at(session_epoch=_next_epoch()))
        .returning(User.session_epoch)
    ).one()


def raise_every_epoch(db: Session) -> None:
    """Invalidate every session of every user, and logins in progress."""
    db.execute(
        update(User)
        .values(_keep_updated_at(session_epoch=_next_epoch()))
        .execution_options(synchronize_session=False)
    )


def _next_epoch() -> ColumnElement[int]:
    """One more, or 1 after the last one, which can only have been set by SQL.

    Not 0: pruning looks for old sessions only of users whose epoch is above 0.
    """
    return case((has_last_epoch(), 1), else_=User.session_epoch + 1)


def has_last_epoch() -> ColumnElement[bool]:
    """After the user's epoch comes 1 again. All sessions of the user must be revoked before."""
    return ~User.session_epoch.between(0, limits.MAX_ID - 1)


def upgrade_hash(db: Session, user_id: int, *, old: str, new: str) -> None:
    """Store a stronger hash of the same password, unless the password has changed meanwhile."""
    db.execute(
        update(User)
        .where(User.id == user_id, User.hashed_password == old)
        .values(_keep_updated_at(hashed_password=new))
    )


def set_verified_email(db: Session, user: User) -> None:
    """The present address has been confirmed."""
    _change_quietly(db, user, verified_email=user.email)


def set_pending_email(
    db: Session, user: User, address: str | None, *, expires_at: datetime | None = None
) -> None:
    """Another address is to become that of the user once it is confirmed. None: no other."""
    _change_quietly(db, user, pending_email=address, pending_email_expires_at=expires_at)


def give_webauthn_handle(db: Session, user_id: int, handle: bytes) -> bytes:
    """Name a user to authenticators, unless they have a name already. Returns that which holds."""
    named = func.coalesce(User.webauthn_handle, handle)
    named_by = db.scalars(
        update(User)
        .where(User.id == user_id)
        .values(_keep_updated_at(webauthn_handle=named))
        .returning(User.webauthn_handle)
    )
    return named_by.one() or handle


def _change_quietly(db: Session, user: User, **values: Any) -> None:
    db.execute(
        update(User)
        .where(User.id == user.id)
        .values(_keep_updated_at(**values))
        .execution_options(synchronize_session=False)
    )
    db.refresh(user, list(values))


def _keep_updated_at(**values: Any) -> dict[str, Any]:
    """These values do not change the account as its user sees it, so `updated_at` stays."""
    return {**values, "updated_at": User.updated_at}


def find_roles(db: Session, names: Sequence[str]) -> Sequence[Role]:
    """The roles with these names. Names that do not exist are left out."""
    return db.scalars(select(Role).where(Role.name.in_(names)).order_by(Role.name)).all()


def list_roles(db: Session) -> Sequence[Role]:
    """All roles."""
    return db.scalars(select(Role).order_by(Role.name)).all()


def lock_roles_with_scope(db: Session, scope: str, *, exclusive: bool = True) -> None:
    """Lock the roles that give a scope: their scopes cannot change until the transaction ends.

    Must be called before a user is locked, so that two administrators who take the scope from each
    other cannot deadlock. Whoever takes roles from users, or users from roles, needs the exclusive
    lock, for which all other callers wait.
    """
    query = select(Role.id).where(_gives(scope)).order_by(Role.id)
    db.execute(query.with_for_update(read=not exclusive, key_share=exclusive)).all()


def list_people_with_scope(db: Session, scope: str) -> Sequence[int]:
    """The ids of the active users who have a role that gives the scope, and who can log in."""
    can_log_in = User.is_active, User.hashed_password != NO_PASSWORD
    return db.scalars(select(User.id).where(*can_log_in, User.roles.any(_gives(scope)))).all()


def _gives(scope: str) -> ColumnElement[bool]:
    # Not LIKE, which on SQLite takes "ADMIN" for "admin".
    padded = literal(" ") + Role.scopes + " "
    return func.replace(padded, f" {scope} ", "") != padded


def delete(db: Session, user_id: int) -> None:
    """Delete a user. Foreign keys delete everything that refers to the user."""
    db.execute(
        sql_delete(User).where(User.id == user_id).execution_options(synchronize_session=False)
    )


def _select_by_name() -> Select[User]:
    # Lowered by the database, as its indexes are: SQLite knows only the letters of ASCII.
    typed = func.lower(bindparam("typed", type_=String))
    spellings = (
        typed,
        bindparam("normalised", type_=String),
        bindparam("decomposed", type_=String),
    )
    email, username = func.lower(User.email), func.lower(User.username)
    preference = case((email == spellings[0], 0), (email == spellings[1], 1), else_=2)
    return (
        select(User)
        .where(or_(email.in_(spellings), username.in_(spellings)))
        .order_by(preference)
        .options(_WITH_ROLES, _WITH_KNOWN_ADDRESSES)
    )


# Built once: building it for each login takes as long as PostgreSQL takes to run it.
_BY_NAME = _select_by_name()
