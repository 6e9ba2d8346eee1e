"""What administrators do to accounts and roles: create, rename and delete them, and make keys.

No function here takes a password: whoever gets an account sets their own by a mail.
"""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from authentication.accounts import registration, roles, users
from authentication.accounts.registration import Registration
from authentication.credentials import api_keys, issuance
from authentication.credentials.actor import Actor, Targets
from authentication.credentials.api_keys import KeyRequest, NewKey
from authentication.errors import PasswordSet
from authentication.passwords.hasher import NO_PASSWORD
from authentication.permissions import Scopes
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from database import queries
from database.models import Role, User

_ROLES = Targets(administrators=True)


async def create_user(service: Service, actor: Actor, account: Registration) -> User:
    """Create an account without a password, for a person or for API keys alone.

    Raises EmailTaken, UsernameTaken, InvalidField.
    """
    cleaned = registration.clean(account)

    def create(db: Session) -> User:
        actor.hold(db, Targets(administrators=True), fresh=True)
        return registration.create(db, cleaned, NO_PASSWORD, origin=actor.origin)

    try:
        return await service.database.run(create)
    except IntegrityError:
        # Somebody else has taken a name meanwhile. Now the first check finds it.
        return await service.database.run(create)


def delete_user(db: Session, settings: AuthenticationSettings, actor: Actor, user_id: int) -> None:
    """Delete an account and everything that belongs to it. Raises NotFound, LastAdministrator."""
    of_user = queries.sessions.select_of_user(user_id)
    targets = Targets([user_id], of_user, administrators=True, for_deletion=True)
    actor.hold(db, targets, fresh=True)
    users.delete(db, settings, user_id, origin=actor.origin)


def get_service_account(db: Session, user_id: int) -> User:
    """An account that nobody can log in to, with roles. Raises NotFound, PasswordSet."""
    user = users.get(db, user_id)
    if user.has_password:
        raise PasswordSet
    return user


def scopes_of_service_account(account: User) -> Scopes:
    """What its keys can be given, besides `rotate`."""
    return issuance.scopes_of(account, None, has_second_factor=True)


def create_api_key(
    db: Session,
    settings: AuthenticationSettings,
    actor: Actor,
    user_id: int,
    request: KeyRequest,
) -> NewKey:
    """Create a key for an account that nobody can log in to: it cannot make keys itself.

    Raises NotFound, PasswordSet, InvalidScope, InvalidField.
    """
    actor.hold(db, Targets([user_id]), fresh=True)
    user = get_service_account(db, user_id)
    return api_keys.create_for(db, settings, user, request, origin=actor.origin)


def create_role(
    db: Session,
    actor: Actor,
    name: str,
    *,
    description: str,
    scopes: str,
    requires_second_factor: bool,
) -> Role:
    """Create a role that nobody has yet. Raises RolesReadOnly, InvalidField, RoleTaken."""
    actor.hold(db, _ROLES, fresh=True)
    return roles.create(
        db,
        name,
        description=description,
        scopes=scopes,
        requires_second_factor=requires_second_factor,
        origin=actor.origin,
    )


def change_role(
    db: Session,
    actor: Actor,
    name: str,
    *,
    description: str | None,
    scopes: str | None,
    requires_second_factor: bool | None,
) -> Role:
    """Change a role. None means no change.

    Raises RolesReadOnly, NotFound, InvalidField, LastAdministrator.
    """
    actor.hold(db, _ROLES, fresh=True)
    return roles.change(
        db,
        name,
        description=description,
        scopes=scopes,
        requires_second_factor=requires_second_factor,
        origin=actor.origin,
    )


def delete_role(db: Session, actor: Actor, name: str) -> None:
    """Delete a role, and so take it from everybody.

    Raises RolesReadOnly, NotFound, RoleRequired, LastAdministrator.
    """
    actor.hold(db, _ROLES, fresh=True)
    roles.delete(db, name, origin=actor.origin)
