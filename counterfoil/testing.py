"""For the tests of an application that uses Counterfoil: act as a user, without a token.

    with acting_as(app, user_id=7, scopes={"orders:read"}):
        assert client.get("/orders").status_code == 200

No database and no service is asked. Scopes, roles and freshness are checked as always, so a test
can also see what the user may not do.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from counterfoil import acting, tokens
from counterfoil.arguments import several
from counterfoil.identity import CredentialKind, Identity
from counterfoil.tokens import TokenKind

API_KEY = tokens.create(TokenKind.API_KEY).text
"""An API key that no service knows, for `Counterfoil(app, url=..., api_key=...)` in tests."""

_HOUR_SECONDS = 3600.0


@contextmanager
def acting_as(
    app: object,
    *,
    user_id: int = 1,
    scopes: Iterable[str] = (),
    roles: Iterable[str] = (),
    **fields: Any,
) -> Iterator[Identity]:
    """Let every request to this application come from this user, whatever token it sends.

    `app` is the application, or the middleware around it. `fields` are any others of `Identity`,
    such as `email` or `confirmed_at`; the user has just logged in unless they say otherwise. With
    `api_key_id` it is an API key that is used. Blocks can be nested; tasks and threads that each
    have one for the same application do not notice each other.
    """
    identity = make_identity(user_id=user_id, scopes=scopes, roles=roles, **fields)
    with acting.entered(identity, list(_applications(app))):
        yield identity


def make_identity(
    *, user_id: int = 1, scopes: Iterable[str] = (), roles: Iterable[str] = (), **fields: Any
) -> Identity:
    """The identity of a user who has just logged in, or of an API key if it has an `api_key_id`.

    Raises ValueError for a text in place of several scopes or roles.
    """
    now = time.time()
    names = tuple(sorted(several("roles", roles)))
    usual: dict[str, Any] = {
        "email": f"user{user_id}@example.org",
        "name": f"User {user_id}",
        "scopes": frozenset(several("scopes", scopes)),
        "roles": names,
        "user_roles": names,
        "user_created_at": now,
        "user_updated_at": now,
        "issued_at": now,
        "looked_up_at": now,
    }
    if fields.get("api_key_id") is None:
        usual |= _session(user_id, now)
    else:
        usual |= {"kind": CredentialKind.API_KEY}
    return Identity(user_id=user_id, **{**usual, **fields})


def _session(user_id: int, now: float) -> dict[str, Any]:
    return {
        "session_id": uuid4(),
        "access_token_id": user_id,
        "expires_at": now + _HOUR_SECONDS,
        "confirmed_at": now,
        "amr": ("pwd",),
    }


def _applications(app: object) -> Iterator[object]:
    """The application, what it wraps, and what is mounted in it."""
    seen: set[int] = set()
    waiting = [app]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [getattr(one, "app", None), *getattr(one, "routes", ())]
