"""Gives users other names and addresses, for an administrator who corrects them."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import names, users
from authentication.audit import Event, Origin
from authentication.emails import normalise_email
from authentication.mail import outbox
from authentication.settings import AuthenticationSettings
from database.models import User


def rename(
    db: Session,
    settings: AuthenticationSettings,
    user_id: int,
    fields: Mapping[str, str | None],
    *,
    origin: Origin,
) -> User:
    """Change any of `email`, `username`, `name` and `surname` of a user. Their sessions go on.

    A new address is not verified, and its former owner is not told: an address is corrected
    because it was somebody else's. Links in mails to the old one are void. What stays as it is
    need not be valid, as it may have been imported.

    Raises NotFound, InvalidField, EmailTaken, UsernameTaken.
    """
    user = users.lock(db, user_id)
    changed = {
        field: _clean(field, value)
        for field, value in fields.items()
        if value != getattr(user, field)
    }
    users.reject_taken(
        db, email=changed.get("email"), username=changed.get("username"), user_id=user.id
    )
    before = names.names_of(user)
    if "email" in changed:
        outbox.void_all(db, user)
    for field, value in changed.items():
        setattr(user, field, value)
    db.flush()
    # An administrator may correct as many names as there are.
    names.record_change(db, settings, user, before, is_limited=False)
    if changed:
        subject = audit.user(user.id)
        audit.record(db, Event.USER_CHANGED, origin=origin, subject=subject, fields=sorted(changed))
    return user


def _clean(field: str, value: str | None) -> str | None:
    return normalise_email(value or "") if field == "email" else users.clean_field(field, value)
