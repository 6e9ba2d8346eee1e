"""Changes the profile of a user: names, website and e-mail address."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import email_addresses, names, password_change, users
from authentication.audit import Event, Origin
from authentication.credentials.actor import Actor
from authentication.emails import normalise_email
from authentication.errors import TooManyAttempts, WrongPassword
from authentication.service import Service
from counterfoil.identity import Identity
from database.models import User


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What is to change: any of name, surname, username and website, and the address."""

    fields: dict[str, Any]
    email: str | None = None
    current_password: str | None = None


async def change_profile(service: Service, actor: Actor, change: ProfileChange) -> User:
    """Change the actor's account.

    A new address takes the current password, a new username either that or a session in which it
    was given a short while ago. Where there is mail, a new address takes no more than that either,
    as it has to be confirmed; until then it is pending, whether it is taken or not.

    Raises WrongPassword, UsernameTaken, EmailTaken, ReleasedNameLimitReached, InvalidField,
    TooManyAttempts, HashingBusy.
    """
    fields = _normalised(change, actor.identity)
    verified_user = None
    if _changes_name(fields, actor.identity):
        # The answer tells whether a name is taken, as that to a registration does.
        await service.throttle.admit_name_change(actor.identity.user_id, actor.origin)
        password = change.current_password
        if password or (_changes_email(fields, actor.identity) and not service.has_mail):
            verified_user = await password_change.confirm(service, actor, password or "")

    def write(db: Session) -> User | TooManyAttempts:
        user = _hold(db, actor, fields, verified_user)
        if service.has_mail:
            return _write_with_mail(db, service, actor, user, dict(fields))
        email, username = (_if_new(user, fields, field) for field in ("email", "username"))
        users.reject_taken(db, email=email, username=username, user_id=user.id)
        before = names.names_of(user)
        _store(db, user, fields, actor.origin)
        names.record_change(db, service.settings, user, before)
        return user

    try:
        changed = await service.database.run(write)
    except IntegrityError:
        # A concurrent request has taken a name. Its row now shows which one.
        changed = await service.database.run(write)
    if isinstance(changed, TooManyAttempts):
        raise changed
    return changed


def _write_with_mail(
    db: Session, service: Service, actor: Actor, user: User, fields: dict[str, Any]
) -> User | TooManyAttempts:
    """Store all but a new address, to which a mail goes.

    What a limit prevents is returned, as raising it would take back what has been counted.
    """
    email = fields.pop("email", None)
    users.reject_taken(db, email=None, username=_if_new(user, fields, "username"), user_id=user.id)
    if email is not None:
        names.reject_if_too_many(db, service.settings, user)
        if email == user.email.lower():
            email_addresses.cancel_change(db, user)
        elif exceeded := email_addresses.request_change(db, service, user, email, actor.origin):
            return exceeded
    if fields or email is None:
        before = names.names_of(user)
        _store(db, user, fields, actor.origin)
        names.record_change(db, service.settings, user, before)
    else:
        # Which the lock has not loaded.
        db.refresh(user, ["roles"])
    return user


def _normalised(change: ProfileChange, identity: Identity) -> dict[str, Any]:
    """What is new is validated. What stays may have been inserted by SQL and need not be valid."""
    fields = {
        field: value if value == getattr(identity, field) else users.clean_field(field, value)
        for field, value in change.fields.items()
    }
    if change.email is not None:
        email = change.email.strip()
        is_new = _changes_email({"email": email.lower()}, identity)
        fields["email"] = normalise_email(email) if is_new else email.lower()
    return fields


def _hold(db: Session, actor: Actor, fields: dict[str, Any], verified_user: User | None) -> User:
    """The user, locked. A password must have been given if a name is to change."""
    if verified_user is not None:
        return password_change.hold_unchanged(db, actor, verified_user, fresh=True)
    user = actor.hold(db, fresh=_changes_name(fields, actor.identity)).user
    if _changes_name(fields, user) and not _changes_name(fields, actor.identity):
        # A concurrent request has changed the name, so nothing has been asked for.
        raise WrongPassword
    return user


def _changes_name(fields: dict[str, Any], current: User | Identity) -> bool:
    """Whether a name is to change by which people log in, and others may know the user."""
    username = fields.get("username", current.username)
    return username != current.username or _changes_email(fields, current)


def _changes_email(fields: dict[str, Any], current: User | Identity) -> bool:
    # An address that was inserted by SQL may contain capitals, and is the same address.
    return "email" in fields and fields["email"] != current.email.lower()


def _if_new(user: User, fields: dict[str, Any], field: str) -> str | None:
    """What the field is to become, unless that is what it is."""
    value: str | None = fields.get(field)
    return None if value == getattr(user, field) else value


def _store(db: Session, user: User, fields: dict[str, Any], origin: Origin) -> None:
    for field, value in fields.items():
        setattr(user, field, value)
    db.flush()
    db.refresh(user, ["updated_at", "roles"])
    audit.record(
        db,
        Event.USER_CHANGED,
        origin=origin,
        subject=audit.user(user.id),
        fields=sorted(fields),
    )
