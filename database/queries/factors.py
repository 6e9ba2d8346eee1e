"""Says which second factors users have."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, literal, null, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from database.models import Passkey, RecoveryCode, TotpFactor

UserId = ColumnElement[int] | InstrumentedAttribute[int]


class Counts(NamedTuple):
    """How many factors a user has that logins ask for, and how many codes in place of them."""

    passkeys: int
    totp: int
    recovery_codes: int

    @property
    def total(self) -> int:
        """Without recovery codes, which are asked for only in place of another factor."""
        return self.passkeys + self.totp


def count(db: Session, user_id: int) -> Counts:
    """The factors of a user."""
    of_each = (
        select(func.count()).select_from(Passkey).where(Passkey.user_id == user_id),
        select(func.count()).select_from(TotpFactor).where(_is_confirmed_totp_of(literal(user_id))),
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)),
    )
    return Counts(*db.execute(select(*(one.scalar_subquery() for one in of_each))).one())


class Listed(NamedTuple):
    """A factor of either kind. When apps were used is not known, and none can be copied unseen."""

    id: UUID
    kind: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    clone_suspected_at: datetime | None


def list_of_user(db: Session, user_id: int) -> Sequence[Listed]:
    """The factors of a user that logins ask for, oldest first."""
    keys = select(
        Passkey.id,
        literal("passkey").label("kind"),
        Passkey.name,
        Passkey.created_at,
        Passkey.last_used_at,
        Passkey.clone_suspected_at,
    ).where(Passkey.user_id == user_id)
    apps = select(
        TotpFactor.id, literal("totp"), TotpFactor.name, TotpFactor.created_at, null(), null()
    ).where(_is_confirmed_totp_of(literal(user_id)))
    listed = union_all(keys, apps).subquery()
    rows = db.execute(select(listed).order_by(listed.c.created_at, listed.c.id))
    return [Listed(*row) for row in rows]


def delete_of_user(db: Session, user_id: int) -> None:
    """Delete every factor of a user, and the codes in place of them."""
    for model in (Passkey, TotpFactor, RecoveryCode):
        db.execute(
            delete(model)
            .where(model.user_id == user_id)
            .execution_options(synchronize_session=False)
        )


def has_any(user_id: UserId) -> ColumnElement[bool]:
    """Whether logins of the user ask for a second factor."""
    return or_(
        exists().where(_is_confirmed_totp_of(user_id)), exists().where(Passkey.user_id == user_id)
    )


def _is_confirmed_totp_of(user_id: UserId) -> ColumnElement[bool]:
    return (TotpFactor.user_id == user_id) & TotpFactor.confirmed_at.is_not(None)
