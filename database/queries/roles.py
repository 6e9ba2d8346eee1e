"""Finds and deletes roles, and counts who has them."""

from collections.abc import Sequence

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from database.models import Role, user_roles


def lock(db: Session, name: str) -> Role | None:
    """A role by name, locked until the end of the transaction: nobody is given it meanwhile."""
    query = select(Role).where(Role.name == name).with_for_update()
    return db.scalar(query.execution_options(populate_existing=True))


def is_taken(db: Session, name: str) -> bool:
    """Whether there is a role whose name differs from this one in case at most."""
    return db.scalar(select(Role.id).where(func.lower(Role.name) == name.lower())) is not None


def list_with_counts(db: Session) -> Sequence[tuple[Role, int]]:
    """All roles by name, each with how many users have it."""
    query = (
        select(Role, func.count(user_roles.c.user_id))
        .outerjoin(user_roles, user_roles.c.role_id == Role.id)
        .group_by(Role.id)
        .order_by(Role.name)
    )
    return [(role, count) for role, count in db.execute(query)]


def can_be_changed(db: Session) -> bool:
    """Whether the role may change what roles grant, where the database has roles."""
    if db.get_bind().dialect.name == "sqlite":
        return True
    return bool(db.scalar(select(func.has_table_privilege(Role.__tablename__, "DELETE"))))


def delete(db: Session, role: Role) -> None:
    """Delete a role. Foreign keys take it from the users that have it."""
    db.execute(
        sql_delete(Role).where(Role.id == role.id).execution_options(synchronize_session=False)
    )
