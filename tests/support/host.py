"""An application with habits of its own, to which the service is attached."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.fastapi import CurrentIdentity, OptionalIdentity, fresh, requires, requires_role


class Item(BaseModel):
    name: str
    price: float


class OutOfStock(Exception):
    """An error of the application's own."""


def tenant() -> str:
    return "everybody"


router = APIRouter()


@router.get("/detail")
async def detail() -> None:
    raise HTTPException(418, {"why": ["tea", 1]}, {"X-Host": "yes"})


@router.post("/items")
async def create_item(item: Item, count: int = 1) -> Item:
    return item


@router.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.get("/page")
async def page() -> HTMLResponse:
    return HTMLResponse("<script>document.title = 'inline'</script>")


@router.get("/cached")
async def cached() -> Response:
    return Response("x", headers={"Cache-Control": "public, max-age=60"})


@router.get("/folder/")
async def folder() -> str:
    return "with a slash"


@router.get("/error")
async def error() -> None:
    raise RuntimeError("secret")


@router.get("/out-of-stock")
async def out_of_stock() -> None:
    raise OutOfStock


@router.get("/tenant")
async def read_tenant(name: Annotated[str, Depends(tenant)]) -> str:
    return name


@router.get("/state")
async def read_state(request: Request) -> list[Any]:
    return [request.state.pool, request.app.state.name, sorted(request.scope["state"])]


@router.get("/url")
async def url(request: Request) -> list[str]:
    return [str(request.url_for("folder")), request.scope["root_path"]]


@router.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close(4000)


protected = APIRouter(prefix="/protected")


@protected.get("/me")
async def me(identity: CurrentIdentity) -> dict[str, Any]:
    return {"user_id": identity.user_id, "roles": identity.roles}


@protected.get("/maybe")
async def maybe(identity: OptionalIdentity) -> int | None:
    return identity.user_id if identity else None


@protected.get("/orders", dependencies=[requires("orders:read")])
async def orders() -> list[str]:
    return ["an engine"]


@protected.get("/office", dependencies=[requires_role("clerk")])
async def office() -> str:
    return "open"


@protected.get("/careful", dependencies=[fresh(seconds=60)])
async def careful() -> str:
    return "done"


class Mark:
    """Middleware that writes its name into the response, and the order with it."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-marked-by", self._name.encode()))
            await send(message)

        await self._app(scope, receive, send_marked)


Handler = Callable[[Request, Any], Awaitable[Response]]


def _answer(text: str, status: int) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"{text}: {type(error).__name__}", status)

    return handle


def make_host(events: list[str] | None = None, *, with_handlers: bool = False) -> FastAPI:
    """The application. Its lifespan writes to `events`."""
    happened = [] if events is None else events

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        happened.append("host started")
        yield {"pool": "of the host"}
        happened.append("host stopped")

    app = FastAPI(title="Orders", version="3.1", lifespan=lifespan)
    app.state.name = "orders"
    app.include_router(router)
    app.mount("/below", FastAPI(title="Below"))
    for name in ("inner", "outer"):
        app.add_middleware(Mark, name=name)

    @app.middleware("http")
    async def time(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["X-Timed"] = "yes"
        return response

    app.dependency_overrides[tenant] = lambda: "one"
    app.exception_handler(OutOfStock)(_answer("sold", 409))
    if with_handlers:
        app.exception_handler(StarletteHTTPException)(_answer("http", 480))
        app.exception_handler(RequestValidationError)(_answer("invalid", 481))
        app.exception_handler(Exception)(_answer("unexpected", 580))
        app.exception_handler(404)(lambda request, error: JSONResponse("gone", 404))  # noqa: ARG005
    return app


LARGE = b"x" * 200_000
# What is asked of the application: method, path, and further arguments of the client.
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/detail", {}),
    ("POST", "/items", {"json": {"name": "Tea"}}),
    ("POST", "/items?count=many&unknown=1", {"json": {"name": "Tea", "price": 1}}),
    ("POST", "/items?unknown=1", {"json": {"name": "Tea", "price": 1, "unknown": 1}}),
    ("POST", "/items", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/upload", {"content": LARGE}),
    ("GET", "/page", {}),
    ("HEAD", "/page", {}),
    ("DELETE", "/page", {}),
    ("OPTIONS", "/page", {}),
    ("GET", "/cached", {}),
    ("GET", "/folder", {"follow_redirects": False}),
    ("GET", "/error", {}),
    ("GET", "/out-of-stock", {}),
    ("GET", "/tenant", {}),
    ("GET", "/state", {}),
    ("GET", "/url", {"headers": {"Host": "orders.example.org"}}),
    ("GET", "/nowhere", {}),
    ("GET", "/authors", {}),
    ("GET", "/health/live", {}),
    ("POST", "/token", {}),
    ("GET", "/below/openapi.json", {}),
    ("GET", "/below/nowhere", {}),
    ("GET", "/openapi.json", {}),
    ("GET", "/docs", {}),
    ("GET", "/.well-known/oauth-authorization-server", {}),
]
