"""Registers and creates accounts."""

from dataclasses import dataclass, replace

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import audit, labels
from authentication.accounts import roles, users
from authentication.accounts.roles import DEFAULT_ROLE
from authentication.audit import Event, Origin
from authentication.emails import normalise_email
from authentication.errors import (
    EmailTaken,
    InvalidMailToken,
    RegistrationClosed,
    UsernameTaken,
)
from authentication.mail.kinds import LinkKind
from authentication.passwords import strength
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from authentication.settings import Registration as Mode
from authentication.throttling import known_networks
from database import queries
from database.models import MailToken, User

# What is kept of a registration until it is confirmed, beside the digest of the password.
_KEPT = ("email", "name", "surname", "username", "website")


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

    Raises RegistrationClosed, EmailTaken, UsernameTaken, WeakPassword, InvalidField,
    TooManyAttempts, HashingBusy.
    """
    if service.settings.registration is not Mode.OPEN:
        raise RegistrationClosed
    account = validate(registration, service.settings)

    def reject_taken(db: Session) -> None:
        users.reject_taken(db, email=account.email, username=account.username)

    def store(db: Session) -> User:
        user = _add(db, account, hashed, origin)
        known_networks.remember_first(db, user.id, origin.network)
        return user

    async with service.throttle.admit_registration(origin) as admission:
        await service.database.run(reject_taken, read_only=True)
        hashed = await admission.hash(lambda: service.hasher.hash(account.password))
    try:
        return await service.database.run(store)
    except IntegrityError:
        # A concurrent registration has taken a name. Its row now shows which one.
        await service.database.run(reject_taken, read_only=True)
        return await service.database.run(store)


async def request(service: Service, registration: Registration, *, origin: Origin) -> str:
    """Have an account begin once a mail to its address is confirmed. Returns its transaction id.

    Nothing tells whether the address is taken; its owner gets a mail as well. Raises what
    `register` does, but for EmailTaken.
    """
    if service.settings.registration is not Mode.CONFIRM:
        raise RegistrationClosed
    account = validate(registration, service.settings)

    def reject_taken_username(db: Session) -> None:
        users.reject_taken(db, email=None, username=account.username)

    async with service.throttle.admit_registration(origin) as admission:
        await service.database.run(reject_taken_username, read_only=True)
        hashed = await admission.hash(lambda: service.hasher.hash(account.password))
    kept = {field: getattr(account, field) for field in _KEPT} | {"hashed_password": hashed}
    outbox = service.mailing.outbox
    return await service.database.run(
        lambda db: outbox.add_registration(db, account.email, kept, origin=origin),
        is_untrusted=True,
    )


def begin_confirmed(db: Session, token: MailToken, *, origin: Origin) -> User:
    """Create the account that a token was made for. Raises InvalidMailToken."""
    kept = dict(token.data or {})
    if not queries.mail_tokens.use(db, token.id):
        raise InvalidMailToken
    hashed = kept.pop("hashed_password")
    account = _without_taken_username(db, Registration(password="", **kept))
    try:
        user = create(db, account, hashed, origin=origin)
    except EmailTaken:
        raise InvalidMailToken from None
    queries.users.set_verified_email(db, user)
    queries.mail_tokens.void_of_address(db, account.email, LinkKind.REGISTER)
    known_networks.remember_first(db, user.id, origin.network)
    return user


def _without_taken_username(db: Session, account: Registration) -> Registration:
    """The account without its username if somebody has taken that meanwhile."""
    try:
        users.reject_taken(db, email=None, username=account.username)
    except UsernameTaken:
        return replace(account, username=None)
    return account


def validate(registration: Registration, settings: AuthenticationSettings) -> Registration:
    """The account as it is stored. Raises InvalidField, WeakPassword."""
    account = clean(registration)
    words = strength.words_about(account, account.email)
    strength.reject_weak(account.password, settings=settings, words=words)
    return account


def clean(registration: Registration) -> Registration:
    """The names as they are stored, for an account with no password. Raises InvalidField."""
    return replace(
        registration,
        email=normalise_email(registration.email),
        name=labels.clean("name", registration.name, least=1),
        surname=users.clean_field("surname", registration.surname),
        username=users.clean_field("username", registration.username),
        website=users.clean_field("website", registration.website),
    )


def create(db: Session, account: Registration, hashed: str, *, origin: Origin) -> User:
    """Add a validated account.

    Raises EmailTaken, UsernameTaken, and InvalidField for an unknown role.
    """
    users.reject_taken(db, email=account.email, username=account.username)
    return _add(db, account, hashed, origin)


def _add(db: Session, registration: Registration, hashed: str, origin: Origin) -> User:
    user = User(
        email=registration.email,
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
