"""Creates and changes accounts."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication import api_keys, audit, passwords, roles, sessions, throttle
from authentication.addresses import normalise_email
from authentication.audit import Event, Origin
from authentication.errors import (
    EmailTaken,
    HashingBusy,
    InvalidField,
    InvalidToken,
    LastAdministrator,
    NotFound,
    TooManyAttempts,
    UsernameTaken,
    WrongPassword,
)
from authentication.identity import Identity
from authentication.permissions import ADMIN
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from database.models import User
from database.queries import sessions as session_queries
from database.queries import users

DEFAULT_ROLE = "user"
MAX_NAME_LENGTH = 200
# What the column can hold; PostgreSQL refuses to compare it with more.
MAX_ID = 2**31 - 1

# No "@", so that a username is never taken for an address, and no two that look the same.
USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)


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


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What is to change: any of name, surname, username and website, and the address."""

    fields: dict[str, Any]
    email: str | None = None
    current_password: str | None = None


async def register(service: Service, registration: Registration, *, origin: Origin) -> User:
    """Make an account.

    Raises EmailTaken, UsernameTaken, WeakPassword, InvalidField, TooManyAttempts, HashingBusy.
    """
    email = check_registration(registration, service.settings)
    with service.hashing.reserve() as place:
        counters = throttle.for_registration(service.settings, origin)
        await throttle.admit(service, counters, origin=origin)
        await service.database.run(
            lambda session: _refuse_taken(session, email, registration.username), read_only=True
        )
        hashed = await place.run(lambda: service.hasher.hash(registration.password))

    def write(session: Session) -> User:
        user = create(session, registration, email, hashed, origin=origin)
        throttle.note_address(session, user_id=user.id, origin=origin)
        return user

    try:
        return await service.database.run(write)
    except IntegrityError:
        # Somebody was quicker. Their row is there now, so that the check can say which it is.
        return await service.database.run(write)


def check_registration(registration: Registration, settings: AuthenticationSettings) -> str:
    """The address in its normal form. Raises InvalidField, WeakPassword."""
    email = normalise_email(registration.email)
    _refuse_username(registration.username)
    _refuse_name("name", registration.name)
    _refuse_name("surname", registration.surname)
    passwords.refuse_weak(
        registration.password, settings=settings, context=_context(email, registration)
    )
    return email


def _context(email: str, person: Registration | Identity | User) -> tuple[str | None, ...]:
    """What others know of a person, and will try first."""
    full_name = f"{person.name} {person.surname}" if person.surname else None
    return (
        email,
        email.partition("@")[0],
        person.username,
        person.name,
        person.surname,
        full_name,
    )


def create(
    session: Session, registration: Registration, email: str, hashed: str, *, origin: Origin
) -> User:
    """Add the account. Raises EmailTaken, UsernameTaken, and InvalidField for an unknown role."""
    _refuse_taken(session, email, registration.username)
    user = User(
        email=email,
        username=registration.username,
        name=registration.name,
        surname=registration.surname,
        website=registration.website,
        hashed_password=hashed,
        roles=roles.get_by_names(session, registration.roles),
    )
    session.add(user)
    session.flush()
    session.refresh(user, ["created_at", "updated_at"])
    subject = audit.user(user.id)
    actor = subject if origin.actor == "anonymous" else origin.actor
    audit.record(
        session,
        Event.USER_CREATED,
        origin=origin.acting_as(actor),
        subject=subject,
        roles=sorted(registration.roles),
    )
    return user


def find_by_id(session: Session, user_id: int) -> User | None:
    """With roles. None also for a number that no user can have."""
    return users.find(session, user_id) if user_id <= MAX_ID else None


def find_by_identifier(session: Session, identifier: str) -> User | None:
    """By e-mail address, in any spelling, or by username. None also for what can be neither."""
    if "@" not in identifier:
        is_username = USERNAME.fullmatch(identifier) is not None
        return users.find_by_username(session, identifier) if is_username else None
    try:
        return users.find_by_email(session, normalise_email(identifier))
    except InvalidField:
        return None


def refuse_weak_for(user: User, password: str, settings: AuthenticationSettings) -> None:
    """Raises WeakPassword, also for what others know of the user."""
    passwords.refuse_weak(password, settings=settings, context=_context(user.email, user))


async def change_profile(
    service: Service, identity: Identity, change: ProfileChange, *, origin: Origin
) -> User:
    """Change the caller's account.

    Raises UsernameTaken, EmailTaken, InvalidField; WrongPassword if the address is to change and
    the current password is missing or wrong; TooManyAttempts, HashingBusy.
    """
    fields = dict(change.fields)
    _refuse_username(fields.get("username"))
    if change.email is not None:
        fields["email"] = normalise_email(change.email)
    checked = None
    if _changes_email(fields, identity.email):
        password = change.current_password or ""
        checked = await check_password(service, identity, password, origin)

    def write(session: Session) -> User:
        if checked is not None:
            user = _lock_unchanged(session, checked, identity)
        else:
            user = _lock(session, identity.user_id)
        if checked is None and _changes_email(fields, user.email):
            # The address has become another one since the request was looked at.
            raise WrongPassword
        _refuse_held_by_others(session, user, fields)
        return _store(session, user, fields, origin)

    try:
        return await service.database.run(write)
    except IntegrityError:
        # Somebody was quicker. Their row is there now, so that the check can say which it is.
        return await service.database.run(write)


async def change_password(
    service: Service,
    identity: Identity,
    *,
    current: str,
    new: str,
    origin: Origin,
    end_api_keys: bool = False,
) -> None:
    """Change the caller's password and end every other session of theirs; API keys on request.

    Raises WrongPassword, WeakPassword, TooManyAttempts, HashingBusy.
    """
    passwords.refuse_weak(
        new,
        settings=service.settings,
        context=_context(identity.email, identity),
        field="new_password",
    )
    checked = await check_password(service, identity, current, origin)
    hashed = await service.hashing.run(lambda: service.hasher.hash(new), account=checked.id)

    def change(session: Session) -> None:
        user = _lock_unchanged(session, checked, identity)
        store_password(session, user, hashed, origin=origin, keep=identity.session_id)
        if end_api_keys:
            api_keys.revoke_all(session, user.id, origin=origin, reason="password_changed")

    await service.database.run(change)


def store_password(
    session: Session, user: User, hashed: str, *, origin: Origin, keep: UUID | None = None
) -> None:
    """Store a new hash and end every session but the one to keep."""
    user.hashed_password = hashed
    session.flush()
    throttle.forgive(session, user.id)
    audit.record(session, Event.PASSWORD_CHANGED, origin=origin, subject=audit.user(user.id))
    sessions.end_all(session, user.id, origin=origin, reason="password_changed", keep=keep)


def set_active(session: Session, user_id: int, *, active: bool, origin: Origin) -> User:
    """Enable an account, or disable it and end its sessions. Raises LastAdministrator, NotFound."""
    user = _lock_for_removal(session, user_id) if not active else _lock(session, user_id)
    if user.is_active == active:
        return user
    user.is_active = active
    session.flush()
    event = Event.USER_ENABLED if active else Event.USER_DISABLED
    audit.record(session, event, origin=origin, subject=audit.user(user_id))
    if not active:
        # They would be refused anyway, but enabling the account must not bring them back.
        sessions.end_all(session, user_id, origin=origin, reason="user_disabled")
    return user


def has_administrator(session: Session) -> bool:
    """Whether an active user has the scope `admin`."""
    return bool(users.list_active_with_scope(session, ADMIN))


def delete(session: Session, user_id: int, *, origin: Origin) -> None:
    """Delete an account and everything that belongs to it. Raises LastAdministrator, NotFound."""
    _lock_for_removal(session, user_id)
    users.delete(session, user_id)
    audit.record(session, Event.USER_DELETED, origin=origin, subject=audit.user(user_id))


async def check_password(
    service: Service, identity: Identity, password: str, origin: Origin
) -> User:
    """The user, if this is their password. Raises WrongPassword, TooManyAttempts, HashingBusy."""
    counters = throttle.for_password_check(service.settings, identity.user_id)

    def count(session: Session) -> tuple[User, TooManyAttempts | None]:
        user = _lock(session, identity.user_id)
        return user, throttle.take(session, counters, origin=origin)

    with service.hashing.reserve(identity.user_id) as place:
        user, refusal = await service.database.run(count)
        if refusal is not None:
            raise refusal
        try:
            correct, _ = await place.run(
                lambda: service.hasher.verify(password, user.hashed_password), account=user.id
            )
        except HashingBusy:
            await throttle.take_back(service, counters)
            raise
    if not correct:
        await service.database.run(
            lambda session: _record_wrong_password(session, identity.user_id, origin)
        )
        raise WrongPassword

    def note_success(session: Session) -> None:
        # Hashing takes long enough for the user to be deleted meanwhile, counters and all.
        if users.lock(session, identity.user_id) is None:
            raise InvalidToken
        throttle.note_success(session, counters)

    await service.database.run(note_success)
    return user


def _record_wrong_password(session: Session, user_id: int, origin: Origin) -> None:
    audit.record(session, Event.PASSWORD_REFUSED, origin=origin, subject=audit.user(user_id))


def _lock(session: Session, user_id: int) -> User:
    user = users.lock(session, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _lock_unchanged(session: Session, checked: User, identity: Identity) -> User:
    """The user whose password was checked a moment ago.

    Raises WrongPassword if it is no longer their password, and InvalidToken if the session that
    sent it has ended meanwhile: hashing takes long enough for that.
    """
    user = _lock(session, checked.id)
    if identity.session_id and not session_queries.lock_holding(session, identity.session_id):
        raise InvalidToken
    if user.hashed_password != checked.hashed_password:
        raise WrongPassword
    return user


def _changes_email(fields: dict[str, Any], current: str) -> bool:
    # What an administrator inserted by SQL may be in capitals, and is the same address.
    return "email" in fields and fields["email"] != current.lower()


def _store(session: Session, user: User, fields: dict[str, Any], origin: Origin) -> User:
    for field, value in fields.items():
        setattr(user, field, value)
    session.flush()
    session.refresh(user, ["updated_at"])
    audit.record(
        session,
        Event.USER_CHANGED,
        origin=origin,
        subject=audit.user(user.id),
        fields=sorted(fields),
    )
    return user


def _refuse_held_by_others(session: Session, user: User, fields: dict[str, Any]) -> None:
    if fields.get("email") is not None:
        holder = users.find_by_email(session, fields["email"])
        if holder is not None and holder.id != user.id:
            raise EmailTaken
    if fields.get("username") is not None:
        holder = users.find_by_username(session, fields["username"])
        if holder is not None and holder.id != user.id:
            raise UsernameTaken


def _lock_for_removal(session: Session, user_id: int) -> User:
    """The user, if the service keeps an administrator without them. Raises LastAdministrator."""
    users.lock_roles_with_scope(session, ADMIN)
    user = _lock(session, user_id)
    if list(users.list_active_with_scope(session, ADMIN)) == [user_id]:
        raise LastAdministrator
    return user


def _refuse_username(username: str | None) -> None:
    if username is not None and not USERNAME.fullmatch(username):
        raise InvalidField("username", "Use letters, digits and . _ + - only, at most 64.")


def _refuse_name(field: str, name: str | None) -> None:
    # The command line passes on what HTTP's schemas would refuse.
    if name is not None and not (name.isprintable() and len(name) <= MAX_NAME_LENGTH):
        raise InvalidField(field, f"Use printable characters only, at most {MAX_NAME_LENGTH}.")


def _refuse_taken(session: Session, email: str, username: str | None) -> None:
    if users.find_by_email(session, email) is not None:
        raise EmailTaken
    if username is not None and users.find_by_username(session, username) is not None:
        raise UsernameTaken
