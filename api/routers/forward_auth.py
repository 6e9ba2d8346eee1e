"""Forward-auth: a reverse proxy asks here whether a request may pass, and on whose behalf.

Any method and any path below /verify will do, as some proxies keep those of the original request.
OPTIONS is verified like all others: whether a CORS preflight may pass unverified is for the proxy
to say. Parameters only ever add demands, so a query string that a client has a part in can refuse
the client's own request, but never weaken what the configuration of the proxy demands.
"""

import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import Request, Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from api.errors import headers_of, status_of
from api.openapi import forward_auth
from api.openapi.description import PlainRoute
from counterfoil import permissions
from counterfoil.errors import (
    AmbiguousCredentials,
    CounterfoilError,
    DatabaseUnavailable,
    NotAuthenticated,
)
from counterfoil.fastapi import authenticate
from counterfoil.identity import Identity
from counterfoil.problems import RETRY_AFTER

log = logging.getLogger("counterfoil.errors")

# All of them are in every answer: a proxy that copies them then overwrites what a client has sent.
NOBODY = {
    "X-Auth-User": "",
    "X-Auth-Email": "",
    "X-Auth-Roles": "",
    "X-Auth-Scopes": "",
    "X-Auth-Session": "",
    "X-Auth-Client": "",
}
# Visible ASCII but for the "%" of the encoding itself and the "," between roles.
_SAFE = "".join(sorted(set(map(chr, range(0x21, 0x7F))) - set("%,")))
_needs_no_encoding = re.compile(f"[{re.escape(_SAFE)}]*").fullmatch


async def verify(scope: Scope, receive: Receive, send: Send) -> None:
    """200, 401, 403 or 503 with an empty body; who it is stands in the headers."""
    try:
        response = Response(headers=_headers(await _get_identity(scope)))
    except CounterfoilError as error:
        response = _refuse(error)
    except DatabaseUnavailable as error:
        log.warning("database unavailable: %s", error)
        headers = {**NOBODY, **RETRY_AFTER}
        response = Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
    await response(scope, receive, send)


async def _get_identity(scope: Scope) -> Identity:
    identity = await authenticate(Request(scope))
    if identity is None:
        raise NotAuthenticated
    if scope["query_string"]:
        _demand(identity, scope["query_string"])
    return identity


def _demand(identity: Identity, query: bytes) -> None:
    """Everything that is asked for must be there; an empty demand is a slip that nobody meets."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    scopes = [scope for name, value in pairs if name == "scope" for scope in value.split() or [""]]
    permissions.demand_scopes(identity.scopes, frozenset(scopes))
    for role in (value for name, value in pairs if name == "role"):
        permissions.demand_role(identity.roles, frozenset({role}))


def _headers(identity: Identity) -> dict[str, str]:
    return {
        "X-Auth-User": str(identity.user_id),
        "X-Auth-Email": _encode(identity.email),
        "X-Auth-Roles": _join(",", identity.roles),
        "X-Auth-Scopes": _join(" ", sorted(identity.scopes)),
        "X-Auth-Session": str(identity.session_id or ""),
        "X-Auth-Client": _encode(identity.client_id or ""),
    }


def _join(separator: str, names: Iterable[str]) -> str:
    return separator.join(map(_encode, names))


def _encode(text: str) -> str:
    """Percent-encoded UTF-8 for all that is not visible ASCII: nothing breaks out of a header."""
    return text if _needs_no_encoding(text) else quote(text, safe=_SAFE)


def _refuse(error: CounterfoilError) -> Response:
    if isinstance(error, AmbiguousCredentials):
        # It would be a 400 elsewhere, which nginx turns into a 500.
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_request"'}
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={**NOBODY, **challenge})
    return Response(status_code=status_of(error), headers={**NOBODY, **headers_of(error)})


class _Verify:
    """An object rather than a function: Starlette then leaves it every method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await verify(scope, receive, send)


class ForwardAuthRoute(PlainRoute):
    """The path itself and everything below it, be it a line break."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        path = scope["path"].removeprefix(scope.get("root_path", "")) + "/"
        match = Match.FULL if path.startswith(self.path + "/") else Match.NONE
        return match, {"endpoint": self.endpoint, "path_params": {}}

    def path_items(self) -> dict[str, Any]:
        return forward_auth.path_items(self.path)


route = ForwardAuthRoute("/verify", _Verify())
