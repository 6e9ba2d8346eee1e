"""Makes accounts."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import roles, users
from authentication.audit import Event, Origin
from authentication.emails import normalise_email
from authentication.errors import EmailTaken, UsernameTaken
from authentication.passwords import strength
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import limits
from database import queries
from database.models import User

DEFAULT_ROLE = "user"


@dataclass(frozen=True, slots=True)
class Registration:
    """An account to be made."""

    email: str
    password: str
    name: str
    surname: str | None = None
    username: str | None = None
    website: str | None = None
    roles: tuple[str, ...] = (DEFAULT_ROLE,)


async def register(service: Service, registration: Registration, *, origin: Origin) -> User:
    """Make an account.

    Raises EmailTaken, UsernameTaken, WeakPassword, InvalidField, TooManyAttempts, HashingBusy.
    """
    email = check_registration(registration, service.settings)
    with service.hashing.reserve() as slot:
        counters = limits.for_registration(service.settings, origin)
        await limits.admit(service, counters, origin=origin)
        await service.database.run(
            lambda db: _refuse_taken(db, email, registration.username), read_only=True
        )
        hashed = await service.hashing.run_in(
            slot, lambda: service.hasher.hash(registration.password)
        )

    def write(db: Session) -> User:
        user = create(db, registration, email, hashed, origin=origin)
        limits.note_address(db, user_id=user.id, origin=origin)
        return user

    try:
        return await service.database.run(write)
    except IntegrityError:
        # Somebody was quicker. Their row is there now, so that the check can say which it is.
        return await service.database.run(write)


def check_registration(registration: Registration, settings: AuthenticationSettings) -> str:
    """The address in its normal form. Raises InvalidField, WeakPassword."""
    email = normalise_email(registration.email)
    users.refuse_username(registration.username)
    users.refuse_name("name", registration.name)
    users.refuse_name("surname", registration.surname)
    words = strength.words_about(registration, email)
    strength.reject_weak(registration.password, settings=settings, words=words)
    return email


def create(
    db: Session, registration: Registration, email: str, hashed: str, *, origin: Origin
) -> User:
    """Add the account. Raises EmailTaken, UsernameTaken, and InvalidField for an unknown role."""
    _refuse_taken(db, email, registration.username)
    user = User(
        email=email,
        username=registration.username,
        name=registration.name,
        surname=registration.surname,
        website=registration.website,
        hashed_password=hashed,
        roles=roles.get_by_names(db, registration.roles),
    )
    db.add(user)
    db.flush()
    db.refresh(user, ["created_at", "updated_at"])
    subject = audit.user(user.id)
    actor = subject if origin.actor == "anonymous" else origin.actor
    audit.record(
        db,
        Event.USER_CREATED,
        origin=origin.acting_as(actor),
        subject=subject,
        roles=sorted(registration.roles),
    )
    return user


def _refuse_taken(db: Session, email: str, username: str | None) -> None:
    if queries.users.find_by_email(db, email) is not None:
        raise EmailTaken
    if username is not None and queries.users.find_by_username(db, username) is not None:
        raise UsernameTaken
