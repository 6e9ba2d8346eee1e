"""The metrics for Prometheus, for clients that the settings allow."""

import secrets
from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import SecretStr

from api.request import hosts
from api.settings import ApiSettings, Exposure
from counterfoil.authenticator import find_credential
from counterfoil.errors import InvalidToken, NotAuthenticated

# How headers begin that proxies add: behind one on this machine every client would seem local.
_OF_PROXIES = (
    *("forwarded", "via", "proxy-", "x-forwarded", "x-real-ip", "x-original-", "x-proxy"),
    *("client-ip", "x-client-ip", "true-client-ip", "x-cluster-client-ip", "x-request-id"),
    *("cf-", "cdn-", "fastly-", "fly-", "x-amz", "x-azure", "x-appengine", "x-envoy-"),
)


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
    if not secrets.compare_digest(token.encode(), expected.get_secret_value().strip().encode()):
        raise InvalidToken


def _is_local(request: Request) -> bool:
    """Whether the client is on this machine, and has asked this machine itself.

    By default nginx adds no header, but speaks HTTP/1.0 or closes each connection.
    """
    if request.client is None or not hosts.is_loopback(request.client.host):
        return False
    if any(header.startswith(_OF_PROXIES) for header in request.headers):
        return False
    name = hosts.name_of(request.headers.get("host", ""))
    is_closing = "close" in request.headers.get("connection", "").lower()
    if is_closing or request.scope["http_version"] == "1.0":
        return False
    return name is not None and hosts.is_loopback(name)
