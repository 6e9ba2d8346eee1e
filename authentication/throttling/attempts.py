"""The kinds of attempts that cost a password hash, and what each of them counts towards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.emails import LoginName
from authentication.errors import NotFound
from authentication.settings import AuthenticationSettings
from authentication.throttling import known_networks, limits
from authentication.throttling.limits import Limit
from database import queries
from database.models import User

U = TypeVar("U", bound=User | None)


@dataclass(frozen=True)
class Attempt(Generic[U]):
    """Counts towards the limits in `counted`. `user` is whose password it is about.

    `trusted_user_id` is the id of a user who need not wait behind untrusted clients. `gives_back`
    says whether it counts no more if its password was not hashed in the end.
    """

    user: U
    counted: Sequence[Limit] = ()
    trusted_user_id: int | None = None
    gives_back: bool = True

    def record_success(self, db: Session) -> None:
        """The attempt counts no more, and failures in a row are counted anew."""
        limits.record_success(db, self.counted)


@dataclass(frozen=True)
class LoginAttempt(Attempt[User | None]):
    """`cleared` are the limits that a success clears, and `network` is where it comes from."""

    cleared: Sequence[Limit] = ()
    network: str | None = None

    def record_success(self, db: Session) -> None:
        """It also ends the failures in a row of others, and makes the network known."""
        limits.record_success(db, self.cleared)
        if self.user is not None:
            known_networks.remember(db, self.user, self.network)


def login(
    db: Session, settings: AuthenticationSettings, name: LoginName, origin: Origin
) -> LoginAttempt:
    """By name, which may be nobody's."""
    user = queries.users.find_by_name(db, name.normalised, is_email=name.is_email)
    if not settings.login_throttle:
        return LoginAttempt(user)
    user_id, network = user.id if user else None, origin.network
    account = f"user {user_id}" if user else f"name {name.normalised}"
    of_account = limits.for_account(settings, "login", user_id, account)
    if user and network and known_networks.is_known(user, network):
        own = limits.for_account(settings, "login", user.id, str(user.id), network)
        in_a_row = [limit for limit in of_account if limit.is_consecutive]
        return LoginAttempt(user, own, user.id, cleared=[*own, *in_a_row], network=network)
    of_network = [limits.for_network(settings, network)] if network else []
    counted = [*of_account, *of_network]
    return LoginAttempt(user, counted, cleared=counted, network=network)


def password_check(db: Session, settings: AuthenticationSettings, user_id: int) -> Attempt[User]:
    """By a user who is logged in and gives the current password once more. Raises NotFound."""
    user = queries.users.lock(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    counted = limits.for_account(settings, "password", user_id, str(user_id))
    return Attempt(user, counted if settings.login_throttle else (), trusted_user_id=user_id)


def registration(settings: AuthenticationSettings, origin: Origin) -> Attempt[None]:
    """It is never given back: it shows whether an address is taken before anything is hashed."""
    if not settings.login_throttle or origin.network is None:
        return Attempt(None, gives_back=False)
    counted = [limits.for_registration(settings, origin.network)]
    return Attempt(None, counted, gives_back=False)
