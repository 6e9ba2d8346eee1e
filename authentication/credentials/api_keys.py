"""Creates, lists, rotates and revokes API keys.

A key belongs to its user and not to the session in which it was created: it stays valid when that
session ends, and when the password changes unless the owner asks otherwise. It stops working while
its user is disabled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, labels, permissions, policies
from authentication.administration import paging
from authentication.administration.paging import Page
from authentication.audit import Event, Origin, Reason
from authentication.credentials import issuance
from authentication.credentials.actor import Actor, Targets
from authentication.errors import (
    ApiKeyLimitReached,
    ApiKeyReplaced,
    ApiKeyRequired,
    InvalidField,
    NotFound,
)
from authentication.permissions import Scopes
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import InsufficientScope, InvalidToken
from counterfoil.identity import Identity
from counterfoil.permissions import Usable, split_scopes
from counterfoil.tokens import TokenKind
from database import clock, limits, queries
from database.models import ApiKey, ApiKeyUse, User

_NOT_LIVE = "There is no such live API key."


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A key to create. `scopes` is None for all scopes that its creator has at that moment."""

    name: str
    lifetime: timedelta | None
    """None for a key that never expires."""
    scopes: Scopes | None = None
    requests_per_minute: int | None = None
    """What each worker accepts; None for any number."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is shown to the owner once, and not stored."""

    text: str
    stored: ApiKey


def list_of_user(
    db: Session, user_id: int, *, limit: int, cursor: str | None = None
) -> Page[ApiKey]:
    """The live keys of a user, newest first. Disabled users have none.

    Raises InvalidField for an invalid cursor.
    """
    after = paging.decode_position(cursor, id_is_uuid=True)
    found = queries.api_keys.list_live(db, user_id=user_id, after=after, limit=limit + 1)
    return paging.cut(found, limit)


def count_of_user(db: Session, user_id: int) -> int:
    """How many live keys a user has."""
    return queries.api_keys.count_live(db, user_id=user_id, with_replaced=True)


def list_everywhere(
    db: Session, *, user_id: int | None = None, limit: int
) -> Sequence[tuple[ApiKey, User]]:
    """Live keys with their users, or those of one user, newest first."""
    return queries.api_keys.list_live_with_user(db, user_id=user_id, limit=limit)


def count_live(db: Session, user_id: int) -> int:
    """How many keys of a user work, also of those that have been rotated."""
    return queries.api_keys.count_live(db, user_id=user_id, with_replaced=True)


def create(
    db: Session, settings: AuthenticationSettings, actor: Actor, request: KeyRequest
) -> NewKey:
    """Create a key for the actor, with no more scopes than the actor's token has now.

    The password must have been given a short while ago, because the key outlives the session.
    Raises InvalidScope, InvalidField, ApiKeyLimitReached.
    """
    # With the user locked, keys of one user are created one by one, so that their count is right.
    identity = actor.hold(db, fresh=True).identity
    _check_limit(db, identity.user_id, limit=settings.max_api_keys_per_user)
    usable = Usable(identity.roles, identity.scopes)
    return _create(db, settings, identity.user_id, request, usable, actor.origin)


def create_for(
    db: Session,
    settings: AuthenticationSettings,
    user: User,
    request: KeyRequest,
    *,
    origin: Origin,
) -> NewKey:
    """Create a key for a user, who must be loaded with roles. Raises as `create` does.

    The limit on the number of keys does not apply.
    """
    roles = tuple(role.name for role in user.roles)
    usable = Usable(roles, issuance.scopes_of(user, None, has_second_factor=True))
    return _create(db, settings, user.id, request, usable, origin)


def rotate(
    db: Session,
    settings: AuthenticationSettings,
    actor: Actor,
    api_key_id: UUID,
    *,
    overlap_seconds: int | None,
) -> NewKey:
    """Create a successor of one of the actor's keys, with its name, scopes and lifetime.

    The old key stays valid for the overlap; None stands for that of the settings. The password must
    have been given a short while ago. Raises NotFound, ApiKeyReplaced, ApiKeyLimitReached,
    InsufficientScope, InvalidField.
    """
    identity = actor.hold(db, Targets(api_key_ids=[api_key_id]), fresh=True).identity
    old = _lock(db, api_key_id, identity)
    return _replace(db, settings, old, identity, actor.origin, overlap_seconds)


def rotate_itself(
    db: Session, settings: AuthenticationSettings, actor: Actor, *, overlap_seconds: int | None
) -> NewKey:
    """Create a successor of the key that is the actor, which must have the scope `rotate`.

    Raises ApiKeyRequired, ApiKeyReplaced, ApiKeyLimitReached, InsufficientScope, InvalidField.
    """
    identity = actor.hold(db).identity
    old = get_own(db, identity)
    if permissions.ROTATE not in split_scopes(old.scopes or ""):
        raise InsufficientScope(frozenset({permissions.ROTATE}))
    old = _lock(db, old.id, identity)
    return _replace(db, settings, old, identity, actor.origin, overlap_seconds, by_key=True)


def get_own(db: Session, identity: Identity) -> ApiKey:
    """The key that calls. Raises ApiKeyRequired for a session, InvalidToken if it has ended."""
    if identity.api_key_id is None:
        raise ApiKeyRequired
    found = queries.api_keys.find(db, identity.api_key_id)
    if found is None:
        raise InvalidToken
    return found


def list_uses(
    db: Session, identity: Identity, api_key_id: UUID, *, days: int
) -> Sequence[ApiKeyUse]:
    """The days on which a key of the caller's was used, newest first. Raises NotFound."""
    found = queries.api_keys.find(db, api_key_id)
    if found is None or found.user_id != identity.user_id:
        raise NotFound(_NOT_LIVE)
    return queries.api_key_uses.list_of_key(db, api_key_id, limit=days)


def _lock(db: Session, api_key_id: UUID, identity: Identity) -> ApiKey:
    """A key of the caller's without a successor. Raises NotFound, ApiKeyReplaced."""
    found = queries.api_keys.lock_live(db, api_key_id, user_id=identity.user_id)
    if found is None:
        raise NotFound(_NOT_LIVE)
    if found.replaced_at is not None:
        raise ApiKeyReplaced
    return found


def _replace(
    db: Session,
    settings: AuthenticationSettings,
    old: ApiKey,
    identity: Identity,
    origin: Origin,
    overlap_seconds: int | None,
    *,
    by_key: bool | None = None,
) -> NewKey:
    overlap = _overlap(settings, overlap_seconds)
    _check_limit(db, old.user_id, limit=settings.max_api_keys_per_user, replacing=True)
    lifetime = policies.limit_lifetime(settings, _lifetime(old))
    request = KeyRequest(old.name, lifetime, requests_per_minute=old.requests_per_minute)
    new = _add(db, old.user_id, request, _inherited(db, identity, old))
    _retire(db, old, overlap)
    detail = {"replaces": str(old.id), "by_key": by_key}
    _record(db, Event.API_KEY_ROTATED, new.stored, origin, **detail)
    return new


def revoke_own(db: Session, actor: Actor, api_key_id: UUID) -> None:
    """Revoke a key of the actor's. Raises NotFound if it has ended or is not theirs."""
    user = actor.hold(db, Targets(api_key_ids=[api_key_id])).user
    revoke_of_user(db, api_key_id, user_id=user.id, origin=actor.origin, reason=Reason.BY_USER)


def revoke_of_user(
    db: Session, api_key_id: UUID, *, user_id: int, origin: Origin, reason: Reason
) -> None:
    """Revoke a key of this user. Raises NotFound if it has ended or is another user's."""
    revoked = queries.api_keys.revoke_of_user(db, api_key_id, user_id=user_id)
    if revoked is None:
        raise NotFound(_NOT_LIVE)
    _record(db, Event.API_KEY_REVOKED, revoked, origin, reason=reason)


def revoke_any(db: Session, api_key_id: UUID, *, origin: Origin, reason: Reason) -> None:
    """Revoke a key of any user, which must be authorized before. Raises NotFound."""
    revoked = queries.api_keys.revoke(db, api_key_id)
    if revoked is None:
        raise NotFound(_NOT_LIVE)
    _record(db, Event.API_KEY_REVOKED, revoked, origin, reason=reason)


def revoke_all(db: Session, user_id: int, *, origin: Origin, reason: Reason) -> int:
    """Revoke every key of a user. Returns how many were revoked."""
    revoked = queries.api_keys.revoke_all(db, user_id=user_id)
    for key in revoked:
        _record(db, Event.API_KEY_REVOKED, key, origin, reason=reason)
    return len(revoked)


def get_id_by_key(db: Session, text: str) -> UUID:
    """The id of a key, live or not. Raises NotFound."""
    found = queries.api_keys.find_by_digest(db, tokens.digest(text))
    if found is None:
        raise NotFound("There is no such API key.")
    return found.id


def _create(
    db: Session,
    settings: AuthenticationSettings,
    user_id: int,
    request: KeyRequest,
    available: Usable,
    origin: Origin,
) -> NewKey:
    if policies.limit_lifetime(settings, request.lifetime) != request.lifetime:
        longest = settings.max_api_key_days
        raise InvalidField("expires_in_days", f"A key expires after {longest} days at the latest.")
    cleaned = replace(request, name=labels.clean("name", request.name, least=1))
    scopes = permissions.grant_to_api_key(request.scopes, available.scopes)
    found = queries.users.find_roles(db, available.roles)
    giving = {role.name: split_scopes(role.scopes) for role in found}
    roles = permissions.roles_of_api_key(request.scopes, giving)
    new = _add(db, user_id, cleaned, Usable(roles, scopes))
    _record(db, Event.API_KEY_CREATED, new.stored, origin)
    return new


def _add(db: Session, user_id: int, request: KeyRequest, usable: Usable) -> NewKey:
    now = clock.read(db)
    made = tokens.create(TokenKind.API_KEY)
    key = ApiKey(
        user_id=user_id,
        name=request.name,
        key_digest=made.digest,
        hint=made.text[-limits.HINT_LENGTH :],
        # Listed even if they are all that the user has: a promotion must add nothing to the key.
        scopes=permissions.join(usable.scopes),
        roles=",".join(usable.roles),
        created_at=now,
        expires_at=policies.api_key_end(now, request.lifetime),
        requests_per_minute=request.requests_per_minute,
    )
    db.add(key)
    db.flush()
    return NewKey(made.text, key)


def _check_limit(db: Session, user_id: int, *, limit: int | None, replacing: bool = False) -> None:
    """Successors may exceed the limit, because their predecessors expire, but only up to twice."""
    if limit is None:
        return
    count = queries.api_keys.count_live(db, user_id=user_id, with_replaced=replacing)
    if count >= (2 * limit if replacing else limit):
        raise ApiKeyLimitReached


def _inherited(db: Session, identity: Identity, old: ApiKey) -> Usable:
    """The roles and scopes of the old key now, which the caller's token must have too."""
    user = queries.users.find(db, old.user_id)
    scopes: Scopes = frozenset()
    if user is not None:
        scopes = issuance.scopes_of(user, old.scopes, has_second_factor=True)
    scopes -= {permissions.ACCOUNT}
    if not scopes <= identity.scopes:
        raise InsufficientScope(scopes - identity.scopes)
    roles = frozenset((old.roles or "").split(",")) & frozenset(identity.roles)
    # No role gives it, so that it is none of those above.
    scopes |= split_scopes(old.scopes or "") & {permissions.ROTATE}
    return Usable(tuple(sorted(roles)), scopes)


def _overlap(settings: AuthenticationSettings, seconds: int | None) -> timedelta:
    longest = settings.api_key_overlap_seconds
    if seconds is not None and not 0 <= seconds <= longest:
        raise InvalidField("overlap_seconds", f"Use 0 to {longest} seconds.")
    return timedelta(seconds=longest if seconds is None else seconds)


def _lifetime(key: ApiKey) -> timedelta | None:
    return None if key.expires_at is None else key.expires_at - key.created_at


def _retire(db: Session, old: ApiKey, overlap: timedelta) -> None:
    now = clock.read(db)
    old.replaced_at = now
    if not overlap:
        old.revoked_at = now
    elif old.expires_at is None or old.expires_at > now + overlap:
        old.expires_at = now + overlap
    db.flush()


def _record(db: Session, event: Event, key: ApiKey, origin: Origin, **detail: object) -> None:
    audit.record(
        db,
        event,
        origin=origin,
        subject=audit.user(key.user_id),
        api_key=str(key.id),
        name=key.name,
        hint=key.hint,
        scopes=key.scopes,
        **detail,
    )
