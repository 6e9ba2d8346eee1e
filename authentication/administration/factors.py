"""Lists the second factors of users for administrators, and removes those that were lost."""

from sqlalchemy.orm import Session

from authentication.administration import operations
from authentication.audit import Reason
from authentication.credentials.actor import Actor, Targets
from authentication.factors import changes, listing
from authentication.factors.listing import Factors
from database import queries


def read(db: Session, user_id: int) -> Factors:
    """The factors of a user. Raises NotFound."""
    operations.get_user(db, user_id)
    return listing.read(db, user_id)


def remove_all(db: Session, actor: Actor, user_id: int) -> int:
    """Remove every factor of a user, so that the password is enough, and revoke their sessions.

    The actor's session must be fresh. Returns how many factors there were. Raises NotFound.
    """
    targets = Targets([user_id], queries.sessions.select_of_user(user_id))
    actor.hold(db, targets, fresh=True)
    reason = Reason.BY_ADMINISTRATOR
    return changes.remove_all(db, user_id, origin=actor.origin, reason=reason)
