"""Our routes are kept together, and those of a reader come after them all the same."""

from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from tests.support.client import Client, MakeApp, MakeClient


def add_routes(app: FastAPI) -> None:
    router = APIRouter(prefix="/users")

    # Below one of our paths, and for a method of one of them.
    @router.get("/me/notes")
    @router.put("/me")
    async def notes() -> str:
        return "notes"

    @app.get("/register")
    async def form() -> str:
        return "a form"

    @app.get("/login/{provider}")
    async def provider(provider: str) -> str:
        return provider

    app.include_router(router)

    @app.get("/{page:path}")
    async def page(page: str) -> str:
        return f"page {page}"


def test_a_readers_routes_may_lie_among_ours(make_client: MakeClient, make_app: MakeApp) -> None:
    app = make_app()
    add_routes(app)
    client = make_client(app)
    assert client.http.get("/users/me/notes").json() == "notes"
    assert client.http.get("/register").json() == "a form"
    assert client.http.get("/login/example").json() == "example"
    assert client.http.get("/a/b").json() == "page a/b"


def test_ours_come_first(make_client: MakeClient, make_app: MakeApp) -> None:
    app = make_app()
    add_routes(app)
    client = make_client(app)
    tokens = client.sign_up()
    assert client.me(tokens).json()["email"] == "ada@example.org"
    assert client.http.get("/health/live").json() == {"status": "ok"}
    assert client.http.get("/", follow_redirects=False).headers["location"]
    assert client.http.get("/docs").headers["content-type"].startswith("text/html")


def test_the_methods_of_a_path_are_named_wherever_they_are_declared(client: Client) -> None:
    refusal = client.http.put("/users/me")
    assert (refusal.status_code, refusal.headers["allow"]) == (405, "DELETE, GET, HEAD, PATCH")
    assert client.http.get("/users/nobody").status_code == 404


def test_routes_are_found_by_name_too(make_app: MakeApp) -> None:
    assert make_app().url_path_for("end_session", session_id="1") == "/sessions/1"


def test_below_the_path_of_another_application_they_are_the_same(make_app: MakeApp) -> None:
    outer = FastAPI()
    outer.mount("/auth", make_app())
    assert TestClient(outer).get("/auth/health/live").json() == {"status": "ok"}
    assert TestClient(outer).get("/auth/nothing").status_code == 404


def test_a_path_without_parameters_is_not_taken_for_one_with(client: Client) -> None:
    tokens = client.sign_up()
    answer = client.http.delete("/sessions/confirm", headers=tokens.headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    other = client.http.delete("/sessions/nonsense", headers=tokens.headers)
    assert other.status_code == 422
