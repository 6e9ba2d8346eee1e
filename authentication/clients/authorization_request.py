"""Reads the parameters of an authorization request (RFC 6749, 4.1.1; RFC 7636, 4.3).

Until the client and its redirect address are known to be registered, an error is for the user
alone. After that, errors are for the client.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from authentication.clients import redirects
from authentication.clients.grants import Grant, has_grant
from authentication.errors import InvalidAuthorization
from counterfoil.permissions import Scopes, split_scopes
from database import queries
from database.models import OAuthClient
from database.text import is_comparable

# Ours: when the user was sent to the page for signing in, which a new login must come after.
AUTHENTICATED_AFTER = "authenticated_after"

_MAX_VALUE = 4096
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_MOMENT = re.compile(r"[0-9]{1,11}\.[0-9]{3}")
_PROMPTS = {"none", "login", "consent", "select_account"}
_UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}

Parameters = Sequence[tuple[str, str]]


class RejectedRequest(Exception):
    """An error for the client, by its code in RFC 6749, 4.1.2.1 or OpenID Connect Core, 3.1.2.6."""

    def __init__(self, error: str, description: str) -> None:
        self.error = error
        self.description = description
        super().__init__(description)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the answer goes."""

    client: OAuthClient
    redirect_uri: str
    state: str | None


@dataclass(frozen=True, slots=True)
class AuthorizationDemand:
    """What the client asks for. `scopes` are all that it is registered with unless it names some.

    `max_age` is how long ago the user may have given their password, in seconds.
    """

    scopes: Scopes
    names_scopes: bool
    code_challenge: str
    prompts: frozenset[str]
    max_age: int | None
    authenticated_after: float | None
    login_hint: str | None

    @property
    def wants_new_login(self) -> bool:
        """Whether the user has to sign in even if they are signed in."""
        return bool({"login", "select_account"} & self.prompts)


def find_target(db: Session, parameters: Parameters) -> Target:
    """The client and its redirect address. Raises InvalidAuthorization."""
    values = _once(parameters)
    client_id, redirect_uri = values.get("client_id"), values.get("redirect_uri")
    if not client_id or not redirect_uri or not is_comparable(client_id):
        raise InvalidAuthorization
    client = queries.oauth_clients.find(db, client_id)
    if client is None or client.disabled_at is not None:
        raise InvalidAuthorization
    if not redirects.is_registered(redirect_uri, client.redirect_uris.split(" ")):
        raise InvalidAuthorization
    db.expunge(client)
    state = values.get("state")
    return Target(client, redirect_uri, state if state and _is_storable(state) else None)


def read(client: OAuthClient, parameters: Parameters) -> AuthorizationDemand:
    """What the client asks for. Raises RejectedRequest."""
    values = _once(parameters)
    if len(values) < len({name for name, _ in parameters}):
        raise RejectedRequest("invalid_request", "A parameter is repeated.")
    if not all(_is_storable(value) for value in values.values()):
        raise RejectedRequest("invalid_request", "A parameter is too long or cannot be read.")
    for name, error in _UNSUPPORTED.items():
        if values.get(name):
            raise RejectedRequest(error, f"The parameter {name} is not supported.")
    _check_response(client, values)
    named = split_scopes(values.get("scope", ""))
    registered = split_scopes(client.scopes)
    if not named <= registered:
        raise RejectedRequest("invalid_scope", "The client may not ask for one of these scopes.")
    return AuthorizationDemand(
        scopes=named or registered,
        names_scopes=bool(named),
        code_challenge=_challenge(values),
        prompts=_prompts(values.get("prompt", "")),
        max_age=_max_age(values.get("max_age", "")),
        authenticated_after=_moment(values.get(AUTHENTICATED_AFTER, "")),
        login_hint=values.get("login_hint") or None,
    )


def _once(parameters: Parameters) -> dict[str, str]:
    """Those that are sent once: which of two a repeated one means, nobody knows."""
    counts = Counter(name for name, _ in parameters)
    return {name: value for name, value in parameters if counts[name] == 1}


def _is_storable(value: str) -> bool:
    return len(value) <= _MAX_VALUE and is_comparable(value)


def _check_response(client: OAuthClient, values: dict[str, str]) -> None:
    if not values.get("response_type"):
        raise RejectedRequest("invalid_request", "The parameter response_type is missing.")
    if values["response_type"] != "code":
        raise RejectedRequest("unsupported_response_type", "Only the response type code is known.")
    if values.get("response_mode", "query") not in {"", "query"}:
        raise RejectedRequest("invalid_request", "Only the response mode query is known.")
    if not has_grant(client, Grant.AUTHORIZATION_CODE):
        raise RejectedRequest("unauthorized_client", "The client may not use this grant.")


def _challenge(values: dict[str, str]) -> str:
    challenge = values.get("code_challenge", "")
    # Without a method it would be "plain", which protects nobody who reads the request.
    if values.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise RejectedRequest("invalid_request", "PKCE with a code_challenge of S256 is needed.")
    return challenge


def _prompts(text: str) -> frozenset[str]:
    prompts = split_scopes(text)
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise RejectedRequest("invalid_request", "The parameter prompt is not valid.")
    return prompts


def _max_age(text: str) -> int | None:
    if not text:
        return None
    if not _SECONDS.fullmatch(text):
        raise RejectedRequest("invalid_request", "The parameter max_age is no number of seconds.")
    return int(text)


def _moment(text: str) -> float | None:
    return float(text) if _MOMENT.fullmatch(text) else None
