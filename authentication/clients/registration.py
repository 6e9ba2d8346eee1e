"""Registers, changes, disables and deletes clients, and rotates their secrets."""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from authentication import audit, labels
from authentication.administration import paging
from authentication.administration.paging import Page
from authentication.audit import Event, Origin, Reason
from authentication.clients import redirects
from authentication.clients.grants import Grant
from authentication.errors import ClientExists, InvalidField, NotFound
from authentication.settings import DAY
from counterfoil import tokens
from counterfoil.tokens import TokenKind
from database import clock, limits, queries
from database.models import OAuthClient

ID_PATTERN = rf"[A-Za-z0-9_-]{{1,{limits.MAX_CLIENT_ID_LENGTH}}}"
MAX_OVERLAP_SECONDS = 365 * DAY
DEFAULT_OVERLAP_SECONDS = DAY
MAX_LIFETIME_SECONDS = 3650 * DAY

# The labels of our own sessions that begin by a form.
RESERVED_IDS = {"browser", "console"}
_ID = re.compile(ID_PATTERN)
# RFC 6749, 3.3.
_SCOPE = re.compile(r"[!#-\[\]-~]{1,100}")
_LIFETIMES = ("access_token_seconds", "refresh_token_seconds", "session_seconds")


@dataclass(frozen=True, slots=True)
class ClientFields:
    """What is registered of a client, and can be changed. None means no change.

    A lifetime of 0 stands for that of the settings, and an `account_id` of 0 for no account.
    """

    name: str | None = None
    redirect_uris: Sequence[str] | None = None
    scopes: Sequence[str] | None = None
    grants: Sequence[Grant] | None = None
    is_first_party: bool | None = None
    account_id: int | None = None
    access_token_seconds: int | None = None
    refresh_token_seconds: int | None = None
    session_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """`secret` is shown once, and not stored. It is None for a public client."""

    client: OAuthClient
    secret: str | None


def list_clients(db: Session, *, limit: int, cursor: str | None = None) -> Page[OAuthClient]:
    """Clients in the order of their ids. Raises InvalidField for an invalid cursor."""
    found = queries.oauth_clients.list_after(db, paging.decode_text(cursor), limit=limit + 1)
    more = len(found) > limit
    return Page(found[:limit], paging.encode(found[limit - 1].id) if more else None)


def get_client(db: Session, client_id: str) -> OAuthClient:
    """A client by id. Raises NotFound."""
    client = queries.oauth_clients.find(db, client_id) if _is_id(client_id) else None
    if client is None:
        raise NotFound("There is no such client.")
    return client


def register(
    db: Session,
    wanted: ClientFields,
    *,
    client_id: str | None,
    is_confidential: bool,
    origin: Origin,
) -> NewSecret:
    """Register a client, under a random id unless one is given.

    Raises InvalidField, and ClientExists for an id that is taken.
    """
    client = OAuthClient(id=_new_id(client_id), name="", grants=Grant.AUTHORIZATION_CODE)
    if queries.oauth_clients.find(db, client.id) is not None:
        raise ClientExists
    if wanted.name is None:
        raise InvalidField("name", "A client needs a name, which users will read.")
    secret = tokens.create(TokenKind.CLIENT_SECRET) if is_confidential else None
    client.secret_digest = secret.digest if secret else None
    _assign(db, client, wanted)
    db.add(client)
    db.flush()
    _record(db, Event.CLIENT_CREATED, client, origin, name=client.name)
    return NewSecret(client, secret.text if secret else None)


def change(db: Session, client_id: str, wanted: ClientFields, *, origin: Origin) -> OAuthClient:
    """Change what is registered. Raises NotFound, InvalidField."""
    client = _lock(db, client_id)
    changed = _assign(db, client, wanted)
    if changed:
        db.flush()
        _record(db, Event.CLIENT_CHANGED, client, origin, fields=changed)
    return client


def disable(db: Session, client_id: str, *, origin: Origin) -> OAuthClient:
    """Give a client no more tokens, and revoke its sessions. Raises NotFound."""
    client = _lock(db, client_id)
    if client.disabled_at is None:
        client.disabled_at = clock.read(db)
        db.flush()
        reason = Reason.CLIENT_DISABLED
        revoked = queries.oauth_clients.revoke_sessions(db, client_id, reason=reason)
        _record(db, Event.CLIENT_DISABLED, client, origin, count=revoked)
    return client


def enable(db: Session, client_id: str, *, origin: Origin) -> OAuthClient:
    """Let a client get tokens again. Raises NotFound."""
    client = _lock(db, client_id)
    if client.disabled_at is not None:
        client.disabled_at = None
        db.flush()
        _record(db, Event.CLIENT_ENABLED, client, origin)
    return client


def delete(db: Session, client_id: str, *, origin: Origin) -> None:
    """Delete a client with its sessions, codes and consents. Raises NotFound."""
    client = _lock(db, client_id)
    _record(db, Event.CLIENT_DELETED, client, origin, name=client.name)
    queries.oauth_clients.delete_one(db, client_id)


def rotate_secret(
    db: Session,
    client_id: str,
    *,
    origin: Origin,
    overlap_seconds: int = DEFAULT_OVERLAP_SECONDS,
) -> NewSecret:
    """Make a new secret. The one before works for the overlap. Raises NotFound, InvalidField."""
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidField("overlap_seconds", f"Use 0 to {MAX_OVERLAP_SECONDS:,} seconds.")
    client = _lock(db, client_id)
    if client.secret_digest is None:
        raise InvalidField("client_id", "A public client has no secret.")
    secret = tokens.create(TokenKind.CLIENT_SECRET)
    overlap = timedelta(seconds=overlap_seconds)
    queries.oauth_clients.replace_secret(db, client, secret.digest, overlap=overlap)
    _record(db, Event.CLIENT_SECRET_ROTATED, client, origin)
    return NewSecret(client, secret.text)


def _lock(db: Session, client_id: str) -> OAuthClient:
    client = queries.oauth_clients.lock(db, client_id) if _is_id(client_id) else None
    if client is None:
        raise NotFound("There is no such client.")
    return client


def _is_id(text: str) -> bool:
    """PostgreSQL raises an error for some of the texts that cannot be one."""
    return _ID.fullmatch(text) is not None


def _new_id(client_id: str | None) -> str:
    if client_id is None:
        return secrets.token_hex(8)
    if not _is_id(client_id) or client_id.lower() in RESERVED_IDS:
        raise InvalidField("client_id", "Use 1 to 64 letters, digits, '_' and '-'.")
    return client_id


def _assign(db: Session, client: OAuthClient, wanted: ClientFields) -> list[str]:
    """Returns which fields have changed. Raises InvalidField, and then none has."""
    values = _stored(db, wanted)
    _check_together(client, values)
    changed = [name for name, value in values.items() if getattr(client, name) != value]
    for name in changed:
        setattr(client, name, values[name])
    return changed


def _stored(db: Session, wanted: ClientFields) -> dict[str, Any]:
    """The fields that are given, checked, as they are stored."""
    given = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
    values = {name: value for name, value in given.items() if value is not None}
    if wanted.name is not None:
        values["name"] = labels.clean("name", wanted.name, least=1)
    if wanted.redirect_uris is not None:
        values["redirect_uris"] = " ".join(_redirects(wanted.redirect_uris))
    if wanted.scopes is not None:
        values["scopes"] = " ".join(_scopes(wanted.scopes))
    if wanted.grants is not None:
        values["grants"] = " ".join(sorted(set(wanted.grants)))
    if wanted.account_id is not None:
        values["account_id"] = _account(db, wanted.account_id)
    for name in _LIFETIMES:
        if name in values:
            values[name] = _lifetime(name, values[name])
    return values


def _redirects(addresses: Sequence[str]) -> Iterable[str]:
    if len(addresses) > redirects.MAX_NUMBER:
        raise InvalidField("redirect_uris", f"Use at most {redirects.MAX_NUMBER} addresses.")
    for address in addresses:
        redirects.check(address)
    return dict.fromkeys(addresses)


def _scopes(scopes: Sequence[str]) -> Iterable[str]:
    if not all(_SCOPE.fullmatch(scope) for scope in scopes) or len(scopes) > limits.MAX_SCOPES:
        raise InvalidField("scopes", "Use printable ASCII without spaces, quotes and backslashes.")
    return sorted(set(scopes))


def _account(db: Session, account_id: int) -> int | None:
    if not account_id:
        return None
    if not 0 < account_id <= limits.MAX_ID or queries.users.find(db, account_id) is None:
        raise InvalidField("account_id", "There is no such user.")
    return account_id


def _lifetime(name: str, seconds: int) -> int | None:
    if not 0 <= seconds <= MAX_LIFETIME_SECONDS:
        raise InvalidField(name, f"Use 0 to {MAX_LIFETIME_SECONDS:,} seconds.")
    return seconds or None


def _check_together(client: OAuthClient, values: Mapping[str, Any]) -> None:
    """Raises InvalidField for grants that the rest of the registration does not allow."""
    names = ("grants", "redirect_uris", "account_id")
    after = {name: values.get(name, getattr(client, name)) for name in names}
    grants = after["grants"].split(" ")
    if Grant.AUTHORIZATION_CODE in grants and not after["redirect_uris"]:
        raise InvalidField("redirect_uris", "The grant authorization_code needs an address.")
    if Grant.CLIENT_CREDENTIALS in grants:
        if client.secret_digest is None:
            raise InvalidField("grants", "The grant client_credentials needs a secret.")
        if after["account_id"] is None:
            raise InvalidField("account_id", "The grant client_credentials needs an account.")


def _record(db: Session, event: Event, client: OAuthClient, origin: Origin, **detail: Any) -> None:
    audit.record(db, event, origin=origin, subject=audit.client(client.id), **detail)
