"""OpenTelemetry by FastAPI's own support, without what a query string may hold.

Links of mails have tokens in it, and searches of administrators addresses.
"""

from typing import Any

from fastapi.telemetry._api import _RequestTelemetry
from fastapi.telemetry._asgi import NativeTelemetry
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Telemetry(NativeTelemetry):
    """Called only while telemetry is set up, so that it costs nothing otherwise."""

    async def __call__(
        self, *, app: ASGIApp, scope: Scope, receive: Receive, send: Send, legacy_otel: bool = False
    ) -> None:
        """Observe a request whose query string only the application gets."""
        hidden = {**scope, "query_string": b""}

        async def with_query_string(seen: Scope, receive: Receive, send: Send) -> None:
            seen["query_string"] = scope["query_string"]
            await app(seen, receive, _naming_route(seen, send))

        await super().__call__(
            app=with_query_string,
            scope=hidden,
            receive=receive,
            send=send,
            legacy_otel=legacy_otel,
        )


def _naming_route(scope: Scope, send: Send) -> Send:
    """Name the route as FastAPI does: our groups of routes go past what would."""

    async def send_named(message: Message) -> None:
        observed: Any = scope.get("fastapi.telemetry")
        path = getattr(scope.get("route"), "path_format", None)
        if isinstance(observed, _RequestTelemetry) and observed.route is None and path is not None:
            observed.route = path
            if observed.span is not None:
                observed.span.update_name(f"{observed.span_method} {path}")
        await send(message)

    return send_named
