"""Creates, lists, rotates and revokes API keys.

A key belongs to its user and not to the session it was made in: it outlives that session, and also
a change of the password unless the owner asks otherwise. Disabling the user stops it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit, permissions, policies
from authentication.audit import Event, Origin, Reason
from authentication.credentials import issuance
from authentication.errors import ApiKeyLimitReached, ApiKeyReplaced, InvalidField, NotFound
from authentication.permissions import Scopes
from authentication.settings import AuthenticationSettings
from counterfoil import tokens
from counterfoil.errors import InsufficientScope, InvalidToken
from counterfoil.identity import Identity
from counterfoil.permissions import Usable
from counterfoil.tokens import TokenKind
from database import clock, limits, queries
from database.models import ApiKey, User

_NOT_LIVE = "There is no such live API key."


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A key to be made. `scopes` is None for all that whoever makes it has at that moment."""

    name: str
    lifetime: timedelta | None
    """None for a key without an end."""
    scopes: Scopes | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is for the owner, once."""

    text: str
    stored: ApiKey


def list_own(db: Session, identity: Identity) -> Sequence[ApiKey]:
    """The caller's live keys, newest first."""
    return queries.api_keys.list_live(db, user_id=identity.user_id)


def list_of_user(db: Session, user_id: int) -> Sequence[ApiKey]:
    """The live keys of a user, newest first. Disabled users have none."""
    return queries.api_keys.list_live(db, user_id=user_id)


def list_everywhere(db: Session, *, user_id: int | None = None) -> Sequence[tuple[ApiKey, User]]:
    """Every live key with its user, or those of one user, newest first."""
    return queries.api_keys.list_live_with_user(db, user_id=user_id)


def create(
    db: Session,
    settings: AuthenticationSettings,
    identity: Identity,
    request: KeyRequest,
    *,
    origin: Origin,
) -> NewKey:
    """Make a key for the caller, who cannot give it more than their token has now.

    Raises InvalidScope, InvalidToken, InvalidField, ApiKeyLimitReached.
    """
    _hold_user_and_session(db, identity)
    _refuse_surplus(db, identity.user_id, limit=settings.max_api_keys_per_user)
    usable = Usable(identity.roles, identity.scopes)
    return _create(db, identity.user_id, request, usable, origin)


def create_for(db: Session, user: User, request: KeyRequest, *, origin: Origin) -> NewKey:
    """Make a key for a user, who must have been read with roles. Raises as `create` does.

    An administrator who does so is not held to the limit.
    """
    roles = tuple(role.name for role in user.roles)
    usable = Usable(roles, issuance.effective_scopes(user, None))
    return _create(db, user.id, request, usable, origin)


def rotate(
    db: Session,
    settings: AuthenticationSettings,
    identity: Identity,
    api_key_id: UUID,
    *,
    overlap_seconds: int | None,
    origin: Origin,
) -> NewKey:
    """Make a successor of a key of the caller's, with its name, scopes and length of life.

    The old key works on for the overlap, None for as long as the settings say. Raises NotFound,
    ApiKeyReplaced, ApiKeyLimitReached, InsufficientScope, InvalidField, InvalidToken.
    """
    overlap = _overlap(settings, overlap_seconds)
    _hold_user_and_session(db, identity)
    old = queries.api_keys.lock_live(db, api_key_id, user_id=identity.user_id)
    if old is None:
        raise NotFound(_NOT_LIVE)
    if old.replaced_at is not None:
        raise ApiKeyReplaced
    _refuse_surplus(db, old.user_id, limit=settings.max_api_keys_per_user, replacing=True)
    new = _add(db, old.user_id, old.name, _inherited(db, identity, old), _life(old))
    _retire(db, old, overlap)
    _record(db, Event.API_KEY_ROTATED, new.stored, origin, replaces=str(old.id))
    return new


def revoke_own(
    db: Session, identity: Identity, api_key_id: UUID, *, origin: Origin, reason: Reason
) -> None:
    """Revoke a key of the caller's. Raises NotFound if it has ended or is not theirs."""
    revoke_of_user(db, api_key_id, user_id=identity.user_id, origin=origin, reason=reason)


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
    db: Session, user_id: int, request: KeyRequest, available: Usable, origin: Origin
) -> NewKey:
    # The command line passes on what HTTP's schemas would reject.
    if not (request.name.isprintable() and 0 < len(request.name) <= limits.MAX_LABEL_LENGTH):
        raise InvalidField("name", f"Use 1 to {limits.MAX_LABEL_LENGTH} printable characters.")
    scopes = permissions.grant_to_api_key(request.scopes, available.scopes)
    new = _add(db, user_id, request.name, Usable(available.roles, scopes), request.lifetime)
    _record(db, Event.API_KEY_CREATED, new.stored, origin)
    return new


def _add(
    db: Session, user_id: int, name: str, usable: Usable, lifetime: timedelta | None
) -> NewKey:
    now = clock.read(db)
    made = tokens.create(TokenKind.API_KEY)
    key = ApiKey(
        user_id=user_id,
        name=name,
        key_digest=made.digest,
        hint=made.text[-limits.HINT_LENGTH :],
        # Written out even if they are all there are, so that a promotion does not widen the key.
        scopes=permissions.join(usable.scopes),
        roles=",".join(usable.roles),
        created_at=now,
        expires_at=policies.api_key_end(now, lifetime),
    )
    db.add(key)
    db.flush()
    return NewKey(made.text, key)


def _hold_user_and_session(db: Session, identity: Identity) -> None:
    """Let no key come of a session that has been ended since the request began.

    Whoever makes keys for one user does so one after the other, so that they can be counted.
    """
    if queries.users.lock(db, identity.user_id) is None:
        raise InvalidToken
    if identity.session_id is None or queries.sessions.lock_valid(db, identity.session_id) is None:
        raise InvalidToken


def _refuse_surplus(
    db: Session, user_id: int, *, limit: int | None, replacing: bool = False
) -> None:
    """A successor beyond the limit is let in, as its predecessor will end; but not without end."""
    if limit is None:
        return
    count = queries.api_keys.count_live(db, user_id=user_id, with_replaced=replacing)
    if count >= (2 * limit if replacing else limit):
        raise ApiKeyLimitReached


def _inherited(db: Session, identity: Identity, old: ApiKey) -> Usable:
    """What the old key may do now, if the caller's token may do so too."""
    user = queries.users.find(db, old.user_id)
    scopes = issuance.effective_scopes(user, old.scopes) if user else frozenset()
    scopes -= {permissions.ACCOUNT}
    if not scopes <= identity.scopes:
        raise InsufficientScope(scopes - identity.scopes)
    roles = frozenset((old.roles or "").split(",")) & frozenset(identity.roles)
    return Usable(tuple(sorted(roles)), scopes)


def _overlap(settings: AuthenticationSettings, seconds: int | None) -> timedelta:
    longest = settings.api_key_overlap_seconds
    if seconds is not None and not 0 <= seconds <= longest:
        raise InvalidField("overlap_seconds", f"Use 0 to {longest} seconds.")
    return timedelta(seconds=longest if seconds is None else seconds)


def _life(key: ApiKey) -> timedelta | None:
    return None if key.expires_at is None else key.expires_at - key.created_at


def _retire(db: Session, old: ApiKey, overlap: timedelta) -> None:
    now = clock.read(db)
    old.replaced_at = now
    if not overlap:
        old.revoked_at = now
    elif old.expires_at is None or old.expires_at > now + overlap:
        old.expires_at = now + overlap
    db.flush()


def _record(db: Session, event: Event, key: ApiKey, origin: Origin, **detail: str | None) -> None:
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
