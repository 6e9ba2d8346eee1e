"""CORS: lets pages of the listed origins call the API and read its responses, without cookies.

Pages of every origin may get tokens and revoke them: a registered client in a browser is told apart
by its redirect address, not by its origin.
"""

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
        *("account", "authorize", "browser-session", "console", "device", "metrics"),
        *("sign-in", "sign-out", "verify"),
    }
)
_OPEN = frozenset({"/token", "/revoke", prefix.METADATA_PATH})


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


class OpenEndpoints:
    """CORS for every origin on the paths for OAuth clients, and what `others` does elsewhere."""

    def __init__(self, app: ASGIApp, others: ASGIApp) -> None:
        self._others = others
        self._open = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=("GET", "POST"), allow_headers=["*"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and _is_open(prefix.path_of(scope))
        await (self._open if is_open else self._others)(scope, receive, send)


def wrap(app: ASGIApp, settings: ApiSettings) -> ASGIApp:
    """The application with CORS."""
    origins = settings.cors_origins
    return OpenEndpoints(app, CrossOriginMiddleware(app, origins) if origins else app)


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(f"{prefix.METADATA_PATH}/")


def _first_segment(scope: Scope) -> str:
    return prefix.path_of(scope).removeprefix("/").partition("/")[0]
