"""Changes the profile of a user: names, website and e-mail address."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import names, password_change, users
from authentication.audit import Event, Origin
from authentication.emails import normalise_email
from authentication.errors import WrongPassword
from authentication.service import Service
from counterfoil.identity import Identity
from database.models import User


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What is to change: any of name, surname, username and website, and the address."""

    fields: dict[str, Any]
    email: str | None = None
    current_password: str | None = None


async def change_profile(
    service: Service, identity: Identity, change: ProfileChange, *, origin: Origin
) -> User:
    """Change the caller's account.

    Raises UsernameTaken, EmailTaken, ReleasedNameLimitReached, InvalidField; WrongPassword if the
    address is to change and the current password is missing or wrong; TooManyAttempts, HashingBusy.
    """
    fields = _normalised(change, identity)
    verified_user = None
    if _changes_email(fields, identity.email):
        password = change.current_password or ""
        verified_user = await password_change.check_password(service, identity, password, origin)

    def write(db: Session) -> User:
        user = _lock(db, identity, fields, verified_user)
        email, username = (_if_new(user, fields, field) for field in ("email", "username"))
        users.reject_taken(db, email=email, username=username, user_id=user.id)
        before = names.names_of(user)
        _store(db, user, fields, origin)
        names.record_change(db, service.settings, user, before)
        return user

    try:
        return await service.database.run(write)
    except IntegrityError:
        # A concurrent request has taken a name. Its row now shows which one.
        return await service.database.run(write)


def _normalised(change: ProfileChange, identity: Identity) -> dict[str, Any]:
    """What is new is validated. What stays may have been inserted by SQL and need not be valid."""
    fields = {
        field: value if value == getattr(identity, field) else users.clean_field(field, value)
        for field, value in change.fields.items()
    }
    if change.email is not None:
        email = change.email.strip()
        is_new = _changes_email({"email": email.lower()}, identity.email)
        fields["email"] = normalise_email(email) if is_new else email.lower()
    return fields


def _lock(
    db: Session, identity: Identity, fields: dict[str, Any], verified_user: User | None
) -> User:
    """The user, locked. Their password must have been checked if the address is to change."""
    if verified_user is not None:
        return password_change.lock_unchanged(db, verified_user, identity)
    user = users.lock(db, identity.user_id)
    if _changes_email(fields, user.email):
        # A concurrent request has changed the address, so the password has not been checked.
        raise WrongPassword
    return user


def _changes_email(fields: dict[str, Any], current: str) -> bool:
    # An address that was inserted by SQL may contain capitals, and is the same address.
    return "email" in fields and fields["email"] != current.lower()


def _if_new(user: User, fields: dict[str, Any], field: str) -> str | None:
    """What the field is to become, unless that is what it is."""
    value: str | None = fields.get(field)
    return None if value == getattr(user, field) else value


def _store(db: Session, user: User, fields: dict[str, Any], origin: Origin) -> None:
    for field, value in fields.items():
        setattr(user, field, value)
    db.flush()
    db.refresh(user, ["updated_at"])
    audit.record(
        db,
        Event.USER_CHANGED,
        origin=origin,
        subject=audit.user(user.id),
        fields=sorted(fields),
    )
