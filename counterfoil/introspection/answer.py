"""What an introspection answer (RFC 7662, 2.2) says of an identity, written and read.

The service writes it and an application reads it, so both know it from here. The members beyond
the standard have the names of the fields of an identity, and its times keep their fractions.
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from uuid import UUID

from counterfoil import permissions
from counterfoil.identity import CredentialKind, Identity, SessionKind

Members = Mapping[str, Any]

# The parameter of a request, and the member of its answer, for a token that was in the cookie of a
# single-page application. Without it such a token is inactive: a stolen one is no bearer token.
SESSION_KIND = "session_kind"

# Beyond the year 9999, and within what a float can represent to the microsecond.
_FAR_AWAY_SECONDS = 1e12


class UnexpectedAnswer(ValueError):
    """This is no answer of the service's introspection endpoint."""


def write(
    identity: Identity, *, issuer: str, session_kind: SessionKind = SessionKind.API
) -> dict[str, Any]:
    """The members for an identity, without those that have no value.

    `session_kind` is the one that was asked for, if another than the usual one.
    """
    expires_at, confirmed_at = identity.expires_at, identity.confirmed_at
    is_usual = session_kind is SessionKind.API
    members = {
        "active": True,
        "scope": " ".join(sorted(identity.scopes)),
        "client_id": identity.client_id,
        "username": identity.username or identity.email,
        "token_type": "Bearer" if is_usual else None,
        "exp": None if expires_at is None else int(expires_at),
        "iat": int(identity.issued_at),
        "sub": str(identity.user_id),
        "iss": issuer,
        "sid": None if identity.session_id is None else str(identity.session_id),
        # RFC 9470, 6.2.
        "auth_time": None if confirmed_at is None else int(confirmed_at),
        "acr": identity.acr,
        "amr": identity.amr or None,
        "kind": identity.kind,
        "email": identity.email,
        "preferred_username": identity.username,
        "name": identity.name,
        "surname": identity.surname,
        "website": identity.website,
        "roles": identity.roles,
        "user_roles": identity.user_roles,
        "user_created_at": identity.user_created_at,
        "user_updated_at": identity.user_updated_at,
        "access_token_id": identity.access_token_id,
        "api_key_id": None if identity.api_key_id is None else str(identity.api_key_id),
        "issued_at": identity.issued_at,
        "expires_at": expires_at,
        "confirmed_at": confirmed_at,
        "second_factor_at": identity.second_factor_at,
        "looked_up_at": identity.looked_up_at,
        SESSION_KIND: None if is_usual else session_kind,
    }
    return {name: value for name, value in members.items() if value is not None}


def read(body: bytes, *, session_kind: SessionKind = SessionKind.API) -> Identity | None:
    """The identity that a body says is active, or None if it says that there is none.

    Raises UnexpectedAnswer for everything else, so that nothing but a complete answer lets a
    request pass; and neither does the answer to a question about another kind of session, such as
    that of a service which does not know this one.
    """
    try:
        members = json.loads(body, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise UnexpectedAnswer("no JSON") from None
    if not isinstance(members, dict) or not isinstance(members.get("active"), bool):
        raise UnexpectedAnswer("no JSON object with `active`")
    if not members["active"]:
        return None
    if members.get(SESSION_KIND, SessionKind.API) != session_kind:
        raise UnexpectedAnswer(f"an answer about another `{SESSION_KIND}`")
    return _identity(members)


def _identity(members: Members) -> Identity:
    return Identity(
        user_id=_user_id(members),
        kind=_kind(members),
        email=_text(members, "email"),
        username=_optional_text(members, "preferred_username"),
        name=_text(members, "name"),
        surname=_optional_text(members, "surname"),
        website=_optional_text(members, "website"),
        user_created_at=_time(members, "user_created_at"),
        user_updated_at=_time(members, "user_updated_at"),
        user_roles=_texts(members, "user_roles"),
        roles=_texts(members, "roles"),
        scopes=permissions.split_scopes(_text(members, "scope")),
        session_id=_optional_uuid(members, "sid"),
        access_token_id=_optional_integer(members, "access_token_id"),
        api_key_id=_optional_uuid(members, "api_key_id"),
        client_id=_optional_text(members, "client_id"),
        issued_at=_time(members, "issued_at"),
        expires_at=_optional_time(members, "expires_at"),
        confirmed_at=_optional_time(members, "confirmed_at"),
        looked_up_at=_time(members, "looked_up_at"),
        second_factor_at=_optional_time(members, "second_factor_at"),
        amr=() if members.get("amr") is None else _texts(members, "amr"),
    )


def _reject_constant(name: str) -> NoReturn:
    """JSON has no NaN and no Infinity, though Python's module reads them."""
    raise UnexpectedAnswer(name)


def _kind(members: Members) -> CredentialKind:
    """The kind of the credential, whose id must be there: without a session, none is ever stale."""
    needed = {CredentialKind.ACCESS_TOKEN: "sid", CredentialKind.API_KEY: "api_key_id"}
    for kind, name in needed.items():
        if members.get("kind") == kind:
            _text(members, name)
            return kind
    raise UnexpectedAnswer("no `kind`")


def _user_id(members: Members) -> int:
    text = _text(members, "sub")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise UnexpectedAnswer("a `sub` that is no id")
    return int(text)


def _text(members: Members, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise UnexpectedAnswer(f"no `{name}`")
    return value


def _optional_text(members: Members, name: str) -> str | None:
    return None if members.get(name) is None else _text(members, name)


def _texts(members: Members, name: str) -> tuple[str, ...]:
    values = members.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UnexpectedAnswer(f"no `{name}`")
    return tuple(values)


def _time(members: Members, name: str) -> float:
    value = members.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnexpectedAnswer(f"no `{name}`")
    # Also false for what is infinite, or no number.
    if not abs(value) < _FAR_AWAY_SECONDS:
        raise UnexpectedAnswer(f"no `{name}`")
    return float(value)


def _optional_time(members: Members, name: str) -> float | None:
    return None if members.get(name) is None else _time(members, name)


def _optional_integer(members: Members, name: str) -> int | None:
    value = members.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise UnexpectedAnswer(f"no `{name}`")
    return value


def _optional_uuid(members: Members, name: str) -> UUID | None:
    text = _optional_text(members, name)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise UnexpectedAnswer(f"no `{name}`") from None
