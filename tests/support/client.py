"""A client of the API with a method for each common request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Client as HttpClient
from httpx2 import Response

PASSWORD = "correct horse battery staple"
# The event loop of `serve`.
BACKEND = {"use_uvloop": True}


@dataclass(frozen=True, slots=True)
class Tokens:
    """The response of a login."""

    access_token: str
    refresh_token: str
    scope: str
    expires_in: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


class Client:
    """Wraps an HTTP client, `http`, which tests use for all other requests."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def register(self, email: str = "ada@example.org", **fields: Any) -> Response:
        body = {"email": email, "password": PASSWORD, "name": "Ada", **fields}
        return self.http.post("/register", json=body)

    def log_in(
        self, email: str = "ada@example.org", password: str = PASSWORD, **fields: Any
    ) -> Tokens:
        """Log in and expect success."""
        return read_tokens(self.try_to_log_in(email, password, **fields))

    def try_to_log_in(
        self, email: str = "ada@example.org", password: str = PASSWORD, **fields: Any
    ) -> Response:
        return self.http.post("/login", json={"email": email, "password": password, **fields})

    def sign_up(self, email: str = "ada@example.org", **fields: Any) -> Tokens:
        """Register and log in."""
        assert self.register(email, **fields).status_code == 201
        return self.log_in(email)

    def refresh(self, refresh_token: str, **fields: Any) -> Response:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **fields}
        return self.http.post("/token", data=form)

    def me(self, tokens: Tokens | str) -> Response:
        token = tokens if isinstance(tokens, str) else tokens.access_token
        return self.http.get("/users/me", headers={"Authorization": f"Bearer {token}"})

    def create_api_key(self, tokens: Tokens, **fields: Any) -> dict[str, Any]:
        """Create a key and expect success. `key` in the result is the key itself."""
        body = {"name": "Nightly report", **fields}
        answer = self.http.post("/api-keys", headers=tokens.headers, json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def sessions(self, tokens: Tokens) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/sessions", headers=tokens.headers).json()
        return found


@contextmanager
def connected(url: str) -> Iterator[Client]:
    """A client of a service in another process."""
    with HttpClient(base_url=url, timeout=30) as http:
        # TestClient is a subclass that adds a portal to the application's event loop.
        yield Client(cast("TestClient", http))


def read_tokens(response: Response) -> Tokens:
    """The tokens of a response, which must be successful."""
    assert response.status_code == 200, response.text
    body = response.json()
    return Tokens(body["access_token"], body["refresh_token"], body["scope"], body["expires_in"])


MakeApp = Callable[..., FastAPI]
MakeClient = Callable[..., Client]
