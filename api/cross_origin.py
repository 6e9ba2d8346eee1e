"""CORS: lets pages of the listed origins call the API and read its responses, without cookies."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.request import prefix
from api.settings import ApiSettings

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_EXPOSED = ("Retry-After", "WWW-Authenticate", "X-Request-ID")
# Pages with cookies, which belong to our own origin, and what is for proxies and operators. If
# /verify answered a preflight, a proxy that forwards the method would take that for permission.
_CLOSED = frozenset(
    {
        "account",
        "authorize",
        "device",
        "browser-session",
        "console",
        "metrics",
        "sign-in",
        "sign-out",
        "verify",
    }
)


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's CORSMiddleware, on all paths but those that no page of another origin may read.

    Other paths cannot be opened to cookies: no origin is allowed to send credentials, which here
    means cookies. An `Authorization` header is an ordinary header.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            # Routes of your own may take any header.
            allow_headers=["*"],
            expose_headers=_EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _first_segment(scope) in _CLOSED:
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def wrap(app: ASGIApp, settings: ApiSettings) -> ASGIApp:
    """The application with CORS, or as it is if the settings name no origins."""
    if not settings.cors_origins:
        return app
    return CrossOriginMiddleware(app, settings.cors_origins)


def _first_segment(scope: Scope) -> str:
    return prefix.path_of(scope).removeprefix("/").partition("/")[0]
