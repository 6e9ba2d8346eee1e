"""Registers and creates accounts."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import roles, users
from authentication.audit import Event, Origin
from authentication.emails import normalise_email
from authentication.passwords import strength
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.throttling import known_networks
from database.models import User

DEFAULT_ROLE = "user"


@dataclass(frozen=True, slots=True)
class Registration:
    """An account to be created."""

    email: str
    password: str
    name: str
    surname: str | None = None
    username: str | None = None
    website: str | None = None
    roles: tuple[str, ...] = (DEFAULT_ROLE,)


async def register(service: Service, registration: Registration, *, origin: Origin) -> User:
    """Create an account for a client.

    Raises EmailTaken, UsernameTaken, WeakPassword, InvalidField, TooManyAttempts, HashingBusy.
    """
    email = validate(registration, service.settings)

    def reject_taken(db: Session) -> None:
        users.reject_taken(db, email=email, username=registration.username)

    def store(db: Session) -> User:
        user = _add(db, registration, email, hashed, origin)
        known_networks.remember_first(db, user.id, origin.network)
        return user

    async with service.throttle.admit_registration(origin) as admission:
        await service.database.run(reject_taken, read_only=True)
        hashed = await admission.hash(lambda: service.hasher.hash(registration.password))
    try:
        return await service.database.run(store)
    except IntegrityError:
        # A concurrent registration has taken a name. Its row now shows which one.
        await service.database.run(reject_taken, read_only=True)
        return await service.database.run(store)


def validate(registration: Registration, settings: AuthenticationSettings) -> str:
    """Returns the normalised e-mail address. Raises InvalidField, WeakPassword."""
    email = normalise_email(registration.email)
    users.reject_username(registration.username)
    users.reject_name("name", registration.name)
    users.reject_name("surname", registration.surname)
    words = strength.words_about(registration, email)
    strength.reject_weak(registration.password, settings=settings, words=words)
    return email


def create(
    db: Session, registration: Registration, email: str, hashed: str, *, origin: Origin
) -> User:
    """Add the account. Raises EmailTaken, UsernameTaken, and InvalidField for an unknown role."""
    users.reject_taken(db, email=email, username=registration.username)
    return _add(db, registration, email, hashed, origin)


def _add(db: Session, registration: Registration, email: str, hashed: str, origin: Origin) -> User:
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
