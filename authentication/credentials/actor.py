"""Locks what entitles a caller to an action, and checks it again within the transaction.

A request is authorized by a lookup, before its transaction begins. In between, its session may be
revoked or its user demoted. So each transaction that writes for a caller begins with `Actor.hold`,
which locks the rows that the lookup has read and checks them again. A revocation, a demotion or a
deactivation of the caller, by an endpoint or by plain SQL, is either seen here, or waits until the
action is committed.

All transactions lock rows in this order, so that no two can deadlock:

1. roles that give the scope, by id          4. sessions: the actor's and the targets, by id
2. users: the actor and the targets, by id   5. API keys: the actor's and the targets, by id
3. the roles given to the actor              6. access tokens, then everything else

Of everything else, throttle counters come first, then rows of the outbox, then tokens of mails.

SQLite has only one writing transaction at a time, so there only the second check matters.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.permissions import ACCOUNT, ADMIN, Scopes
from counterfoil import permissions
from counterfoil.errors import InvalidToken, SessionRequired
from counterfoil.identity import Identity, SessionKind
from counterfoil.permissions import Usable
from database import clock, queries
from database.models import ApiKey, User
from database.queries.access_tokens import LockedToken
from database.queries.sessions import LockedSession


@dataclass(frozen=True, slots=True)
class Targets:
    """What an action changes, to be locked together with its actor.

    `administrators` is true if it may take the scope `admin` from a user, `for_deletion` if it
    deletes the users.
    """

    user_ids: Collection[int] = ()
    sessions: Select[UUID] | None = None
    api_key_ids: Collection[UUID] = ()
    administrators: bool = False
    for_deletion: bool = False


NO_TARGETS = Targets()


class Held(NamedTuple):
    """An actor who is held. `identity` has the roles and scopes that the credential has now.

    `sessions` are those of the targets that are valid.
    """

    identity: Identity
    user: User
    sessions: Sequence[LockedSession]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, from where, and the scopes that the action requires.

    `fresh_seconds` is how long ago the password may have been given for actions whose effect
    outlives a session. `session_kind` is that of the sessions that may act here.
    """

    identity: Identity
    origin: Origin
    scopes: Scopes
    fresh_seconds: int
    session_kind: SessionKind = SessionKind.API

    @property
    def session_id(self) -> UUID:
        """The session in which they act. Raises SessionRequired for an API key."""
        if self.identity.session_id is None:
            raise SessionRequired
        return self.identity.session_id

    def hold(self, db: Session, targets: Targets = NO_TARGETS, *, fresh: bool = False) -> Held:
        """Lock the actor and the targets, and check the actor again. Must be the first statement.

        With `fresh`, a session must have been confirmed a short while ago; an API key need not be.
        Raises InvalidToken, InsufficientScope, InsufficientUserAuthentication.
        """
        self._lock_roles(db, targets)
        user = self._lock_user(db, targets)
        grants = queries.users.lock_grants(db, user.id)
        own, sessions = self._lock_sessions(db, targets, fresh=fresh)
        key = self._lock_api_keys(db, targets)
        token = self._lock_access_token(db, targets)
        lacks_factor = own is not None and own.second_factor_at is None
        roles = {
            name: permissions.split_scopes(grant.scopes)
            for name, grant in grants.items()
            if not (lacks_factor and grant.requires_second_factor)
        }
        if key is not None:
            now = permissions.usable_by_api_key(key.scopes, key.roles, roles)
        else:
            now = permissions.usable(token.scopes if token else None, roles)
        identity = _restrict(self.identity, now, roles)
        permissions.demand_scopes(identity.scopes, self.scopes)
        return Held(identity, user, sessions)

    def _lock_roles(self, db: Session, targets: Targets) -> None:
        scopes = self.scopes - {ACCOUNT}
        if targets.administrators:
            queries.users.lock_roles_with_scope(db, ADMIN)
            scopes -= {ADMIN}
        for scope in sorted(scopes):
            queries.users.lock_roles_with_scope(db, scope, exclusive=False)

    def _lock_user(self, db: Session, targets: Targets) -> User:
        ids = {self.identity.user_id, *targets.user_ids}
        users = queries.users.lock_many(db, ids, for_deletion=targets.for_deletion)
        user = users.get(self.identity.user_id)
        if user is None or not user.is_active:
            raise InvalidToken
        return user

    def _lock_sessions(
        self, db: Session, targets: Targets, *, fresh: bool
    ) -> tuple[LockedSession | None, Sequence[LockedSession]]:
        """Returns that of the actor, if there is one, and those of the targets."""
        own, own_id = None, self.identity.session_id
        found = queries.sessions.lock_for_change(db, own_id=own_id, targets=targets.sessions)
        if own_id is not None:
            own = next((one for one in found if not one.is_target), None)
            if own is None or own.kind != self.session_kind:
                raise InvalidToken
            if fresh:
                self._demand_fresh(db, own)
        return own, [one for one in found if one.is_target]

    def _demand_fresh(self, db: Session, session: LockedSession) -> None:
        confirmed_at = session.confirmed_at
        permissions.demand_fresh(
            confirmed_at.timestamp() if confirmed_at else None,
            clock.read(db).timestamp(),
            seconds=self.fresh_seconds,
        )

    def _lock_api_keys(self, db: Session, targets: Targets) -> ApiKey | None:
        """Returns that of the actor, if it is one."""
        own_id = self.identity.api_key_id
        ids = {*targets.api_key_ids, *([own_id] if own_id else [])}
        found = queries.api_keys.lock_usable(db, ids) if ids else {}
        if own_id is None:
            return None
        if own_id not in found:
            raise InvalidToken
        return found[own_id]

    def _lock_access_token(self, db: Session, targets: Targets) -> LockedToken | None:
        """Returns that of the actor, if it is one."""
        if targets.for_deletion:
            # All that the deletion will take along, before it waits for any of them.
            queries.access_tokens.lock_of_user(db, self.identity.user_id)
        token_id, session_id = self.identity.access_token_id, self.identity.session_id
        if token_id is None or session_id is None:
            return None
        token = queries.access_tokens.lock_unexpired_of_session(db, token_id, session_id)
        if token is None:
            raise InvalidToken
        return token


def _restrict(identity: Identity, now: Usable, roles: Mapping[str, Scopes]) -> Identity:
    """The identity without what has been taken since the lookup."""
    scopes = identity.scopes & now.scopes
    held = tuple(name for name in identity.roles if name in now.roles and roles[name] <= scopes)
    return identity._replace(roles=held, scopes=scopes)
