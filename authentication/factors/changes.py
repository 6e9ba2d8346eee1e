"""Records that a factor was added or removed, tells its user, and revokes other sessions."""

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin, Reason
from authentication.credentials import sessions
from authentication.credentials.actor import Actor, Targets
from authentication.errors import LastFactor
from authentication.settings import AuthenticationSettings
from database import queries


def targets(actor: Actor) -> Targets:
    """What a change of the actor's factors locks, beside the actor."""
    return Targets(sessions=queries.sessions.select_of_user(actor.identity.user_id))


def record_added(
    db: Session, settings: AuthenticationSettings, actor: Actor, *, kind: str, name: str
) -> None:
    """A factor was added by the actor, who is held with the targets above."""
    _end_others(db, settings, actor)
    _record(db, Event.FACTOR_ADDED, actor, kind, name)


def reject_last(db: Session, user_id: int) -> None:
    """Raises LastFactor if the user, who must be locked, may not be without a second factor."""
    if queries.factors.count(db, user_id).total == 1 and (
        queries.users.requires_second_factor(db, user_id)
    ):
        raise LastFactor


def record_removed(
    db: Session, settings: AuthenticationSettings, actor: Actor, *, kind: str, name: str
) -> None:
    """A factor was removed by the actor. After the last one, recovery codes open nothing."""
    user_id = actor.identity.user_id
    if not queries.factors.count(db, user_id).total:
        queries.recovery_codes.delete_of_user(db, user_id)
    _end_others(db, settings, actor)
    _record(db, Event.FACTOR_REMOVED, actor, kind, name)


def remove_all(db: Session, user_id: int, *, origin: Origin, reason: Reason) -> int:
    """Remove every factor of a user, and revoke their sessions. Returns how many there were.

    Raises NotFound if the user has gone.
    """
    count = queries.factors.count(db, user_id)
    # Locks the user before anything else is changed.
    sessions.revoke_all(db, user_id, origin=origin, reason=reason)
    queries.factors.delete_of_user(db, user_id)
    queries.challenges.void_of_user(db, user_id)
    subject = audit.user(user_id)
    audit.record(db, Event.FACTORS_REMOVED, origin=origin, subject=subject, count=count.total)
    return count.total


def _end_others(db: Session, settings: AuthenticationSettings, actor: Actor) -> None:
    """Of the sessions that began before, none may go on as if nothing had changed."""
    user_id, keep = actor.identity.user_id, actor.identity.session_id
    queries.challenges.void_of_user(db, user_id)
    if settings.factor_change_ends_sessions:
        reason = Reason.FACTORS_CHANGED
        sessions.revoke_all(db, user_id, origin=actor.origin, reason=reason, keep=keep)
    else:
        queries.sessions.unconfirm(db, user_id, keep=keep)


def _record(db: Session, event: Event, actor: Actor, kind: str, name: str) -> None:
    subject = audit.user(actor.identity.user_id)
    audit.record(db, event, origin=actor.origin, subject=subject, kind=kind, name=name)
