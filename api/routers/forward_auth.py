"""Forward-auth: a reverse proxy asks whether a request is allowed, and for which user.

Any method and any path below /verify are accepted, because some proxies keep those of the original
request. OPTIONS is verified like all other methods: whether a CORS preflight is allowed without
verification is configured in the proxy. Parameters can only add requirements, so a client that
controls part of the query string can have itself rejected, but cannot weaken the configuration.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Request, Response
from starlette.convertors import PathConvertor, register_url_convertor

from api import denials
from api.errors import headers_of, status_of
from api.routing.fast_route import FastRoute
from counterfoil import permissions
from counterfoil.cookies import ON_BEHALF
from counterfoil.errors import (
    AmbiguousCredentials,
    CounterfoilError,
    DatabaseUnavailable,
    InsufficientUserAuthentication,
    NotAuthenticated,
)
from counterfoil.fastapi import authenticate
from counterfoil.identity import Acr, Identity
from counterfoil.problems import RETRY_AFTER, log_unavailable

# Described in api/openapi/forward_auth.py: FastAPI cannot describe a route for any method.
router = APIRouter(route_class=FastRoute, include_in_schema=False)

# To Starlette an empty list means every method. FastAPI cannot derive an id without a method.
_ANY_METHOD: dict[str, Any] = {"methods": [], "operation_id": "verify"}


class _AnythingConvertor(PathConvertor):
    """Like Starlette's `path`, which does not match line breaks."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _AnythingConvertor())

# Every response has all of them, so that a proxy that copies them overwrites what a client sent.
_EMPTY_HEADERS = {
    "X-Auth-User": "",
    "X-Auth-Email": "",
    "X-Auth-Roles": "",
    "X-Auth-Scopes": "",
    "X-Auth-Session": "",
    "X-Auth-Client": "",
    "X-Auth-Time": "",
    "X-Auth-Acr": "",
    "X-Auth-Amr": "",
}
# Visible ASCII but for the "%" of the encoding itself and the "," between roles.
_SAFE = "".join(sorted(set(map(chr, range(0x21, 0x7F))) - set("%,")))
_needs_no_encoding = re.compile(f"[{re.escape(_SAFE)}]*").fullmatch


@router.api_route("/verify", **_ANY_METHOD)
@router.api_route("/verify/{path:anything}", **_ANY_METHOD)
async def verify(request: Request) -> Response:
    """200, 401, 403 or 503 with an empty body; the identity is in the headers."""
    try:
        return Response(headers=_headers(await _get_identity(request)))
    except CounterfoilError as error:
        denials.record(request, error)
        return _reject(error)
    except DatabaseUnavailable as error:
        log_unavailable(error)
        return _empty(HTTPStatus.SERVICE_UNAVAILABLE, RETRY_AFTER)


async def _get_identity(request: Request) -> Identity:
    # The original request may have another method, whatever this one has.
    request.scope[ON_BEHALF] = True
    identity = await authenticate(request)
    if identity is None:
        raise NotAuthenticated
    if query := request.scope["query_string"]:
        _demand(identity, query)
    return identity


def _demand(identity: Identity, query: bytes) -> None:
    """Everything in the query is required. An empty one is a mistake, and rejected."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    scopes = (permissions.split_scopes(value) or {""} for name, value in pairs if name == "scope")
    permissions.demand_scopes(identity.scopes, frozenset[str]().union(*scopes))
    for role in (value for name, value in pairs if name == "role"):
        permissions.demand_role(identity.roles, frozenset({role}))
    for acr in (value for name, value in pairs if name == "acr"):
        if not _meets(identity, acr):
            raise InsufficientUserAuthentication(None, needs_second_factor=True)
    ages = [_seconds(value) for name, value in pairs if name == "fresh"]
    if ages and identity.session_id is not None:
        permissions.demand_fresh(identity.confirmed_at, identity.looked_up_at, seconds=min(ages))


def _meets(identity: Identity, acr: str) -> bool:
    """A second factor is more than a password."""
    return acr == identity.acr or (acr == Acr.PASSWORD and identity.acr is not None)


def _seconds(text: str) -> int:
    """What is no number is a mistake, and no session is so fresh."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _headers(identity: Identity) -> dict[str, str]:
    return {
        "X-Auth-User": str(identity.user_id),
        "X-Auth-Email": _encode(identity.email),
        "X-Auth-Roles": _join(",", identity.roles),
        "X-Auth-Scopes": _join(" ", sorted(identity.scopes)),
        "X-Auth-Session": str(identity.session_id or ""),
        "X-Auth-Client": _encode(identity.client_id or ""),
        "X-Auth-Time": "" if identity.confirmed_at is None else str(int(identity.confirmed_at)),
        "X-Auth-Acr": identity.acr or "",
        "X-Auth-Amr": _join(" ", identity.amr),
    }


def _join(separator: str, names: Iterable[str]) -> str:
    return separator.join(map(_encode, names))


def _encode(text: str) -> str:
    """Percent-encode everything but visible ASCII, so that no value can end its header."""
    return text if _needs_no_encoding(text) else quote(text, safe=_SAFE)


def _reject(error: CounterfoilError) -> Response:
    if isinstance(error, AmbiguousCredentials):
        # Other endpoints respond with 400, which nginx would turn into a 500.
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_request"'}
        return _empty(HTTPStatus.UNAUTHORIZED, challenge)
    return _empty(status_of(error), headers_of(error))


def _empty(status: HTTPStatus, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={**_EMPTY_HEADERS, **headers})
