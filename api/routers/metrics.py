"""The metrics for Prometheus, for clients that the settings allow."""

import secrets
from http import HTTPStatus
from ipaddress import ip_address

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import SecretStr

from api.request import client_address
from api.settings import ApiSettings, Exposure
from counterfoil.authenticator import find_credential
from counterfoil.errors import InvalidToken, NotAuthenticated

# Headers that proxies add: behind a proxy on this machine every client would seem local.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")


router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def read_metrics(request: Request) -> Response:
    """All numbers of all workers, in the text format that Prometheus reads."""
    state = request.app.state
    settings: ApiSettings = state.settings.api
    if settings.metrics_token is not None:
        _demand_token(request, settings.metrics_token)
    elif settings.metrics is Exposure.LOCAL and not _is_local(request):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Only this machine may read the metrics.")
    return Response(state.instrumentation.render(state.service), media_type=CONTENT_TYPE_LATEST)


def _demand_token(request: Request, expected: SecretStr) -> None:
    """A fixed token, because metrics matter most when the database is unavailable."""
    token = find_credential(request.scope["headers"], frozenset())
    if token is None:
        raise NotAuthenticated
    if not secrets.compare_digest(token.encode(), expected.get_secret_value().encode()):
        raise InvalidToken


def _is_local(request: Request) -> bool:
    trusted = request.app.state.proxy_networks
    if not trusted and any(header in request.headers for header in _FORWARDED):
        return False
    address = client_address.of(request, trusted)
    return address is not None and ip_address(address).is_loopback
