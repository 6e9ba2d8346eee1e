"""Says which limits apply to a login, a password check and a registration; counting.py counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.emails import LoginName
from authentication.errors import NotFound
from authentication.settings import AuthenticationSettings
from authentication.throttling import counting, known_networks, limits
from authentication.throttling.limits import Limit
from database import queries
from database.models import User

AttemptedUser = TypeVar("AttemptedUser", bound=User | None)


@dataclass(frozen=True)
class Attempt(Generic[AttemptedUser]):
    """An attempt at the account of `user`, if there is one. `counted` are the limits that apply.

    `trusted_user_id` is the id of a user who need not wait behind untrusted clients.
    `is_undone_without_hash` says whether the count is undone if no password was hashed.
    """

    user: AttemptedUser
    counted: Sequence[Limit] = ()
    trusted_user_id: int | None = None
    is_undone_without_hash: bool = True

    def record_success(self, db: Session) -> None:
        """Decrements the counters, and resets those of failures in a row."""
        counting.record_success(db, self.counted)

    def undo(self, db: Session) -> None:
        """Decrements the counters. Earlier failures still count."""
        counting.undo_count(db, self.counted)


@dataclass(frozen=True)
class LoginAttempt(Attempt[User | None]):
    """A success clears the limits in `cleared`. `network` is where the login comes from."""

    cleared: Sequence[Limit] = ()
    network: str | None = None

    def record_success(self, db: Session) -> None:
        """Also resets all failures in a row of the user, and stores the network as known.

        Whoever logs in knows the password. So nothing that others have counted up, in whichever
        network or by guessing the current password in a session, may be left to lock them out.
        """
        user_id = self.user.id if self.user else None
        counting.record_success(db, self.counted, cleared=self.cleared, user_id=user_id)
        if self.user is not None:
            known_networks.remember(db, self.user, self.network)


def describe_login(
    db: Session, settings: AuthenticationSettings, name: LoginName, origin: Origin
) -> LoginAttempt:
    """Returns the user with this name, if there is one, and the limits on the login."""
    user = queries.users.find_by_name(db, name.typed, normalised=name.normalised)
    if not settings.login_throttle:
        return LoginAttempt(user)
    user_id, network = user.id if user else None, origin.network
    account = f"user {user_id}" if user else f"name {name.normalised}"
    of_account = limits.for_account(settings, "login", user_id, account)
    checks = _of_password_checks(settings, user.id) if user else []
    if user and network and known_networks.is_known(user, network):
        own = limits.for_account(settings, "login", user.id, str(user.id), network)
        return LoginAttempt(user, own, user.id, cleared=checks, network=network)
    counted = [*of_account, *limits.for_networks(settings, origin)]
    return LoginAttempt(user, counted, cleared=checks, network=network)


def describe_password_check(
    db: Session, settings: AuthenticationSettings, user_id: int
) -> Attempt[User]:
    """Returns the logged-in user, locked, and the limits on checks of their password.

    Raises NotFound.
    """
    user = queries.users.lock(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    counted = _of_password_checks(settings, user_id) if settings.login_throttle else ()
    return Attempt(user, counted, trusted_user_id=user_id)


def describe_second_factor(
    settings: AuthenticationSettings, user: User, origin: Origin
) -> LoginAttempt:
    """Returns the limits on the second factor of a login, for a user with known addresses.

    Split like those on logins: somebody who knows the password must not be able to lock its owner
    out by wrong codes.
    """
    if not settings.login_throttle:
        return LoginAttempt(user)
    network = origin.network
    checks = [*_of_password_checks(settings, user.id), *describe_factor_check(settings, user.id)]
    key = ["login", str(user.id)]
    if network and known_networks.is_known(user, network):
        key.append(network)
    counted = limits.for_factor(settings, "second factor", user.id, *key)
    return LoginAttempt(user, counted, user.id, cleared=checks, network=network)


def describe_factor_check(settings: AuthenticationSettings, user_id: int) -> Sequence[Limit]:
    """Returns the limits on second factors that are given in a session of this user."""
    if not settings.login_throttle:
        return ()
    return limits.for_factor(settings, "second factor", user_id, "check", str(user_id))


def describe_registration(settings: AuthenticationSettings, origin: Origin) -> Attempt[None]:
    """Returns the limit on registrations from the network.

    The count is never undone, because the response shows whether an e-mail address is taken, also
    if nothing was hashed.
    """
    return Attempt(None, _of_registration(settings, origin), is_undone_without_hash=False)


def describe_name_change(
    settings: AuthenticationSettings, user_id: int, origin: Origin
) -> Attempt[None]:
    """Returns the limits on changes of a username or an e-mail address.

    That of the network is the same as for registrations, because both show which names are taken.
    """
    if not settings.login_throttle:
        return Attempt(None)
    of_account = limits.for_name_changes(settings, user_id)
    return Attempt(None, [of_account, *_of_registration(settings, origin)])


def _of_registration(settings: AuthenticationSettings, origin: Origin) -> list[Limit]:
    if not settings.login_throttle or origin.network is None:
        return []
    return limits.for_registration(settings, origin)


def _of_password_checks(settings: AuthenticationSettings, user_id: int) -> list[Limit]:
    return limits.for_account(settings, "password", user_id, str(user_id))
