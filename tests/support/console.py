"""A client of the pages that behaves like a browser without scripts."""

import html
import re
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from tests.support.client import BACKEND, PASSWORD

Sql = Callable[..., object]

# As it is called where the console is reached by HTTPS.
COOKIE = "__Host-counterfoil_session"

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


_OF_EVERYBODY = ("/account", "/authorize", "/device", "/sign-in", "/sign-out")


def address(path: str) -> str:
    """The path of a page. Those that are not for everybody lie below /console."""
    return path if path.startswith(_OF_EVERYBODY) else f"/console{path}"


class ConsoleClient:
    """`page` is the current page; forms are sent with its CSRF token."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        # Secure cookies are sent over HTTPS only.
        self.http = TestClient(
            app,
            base_url="https://testserver",
            raise_server_exceptions=False,
            backend_options=BACKEND,
        )
        self.page: Response

    def open(self, path: str, **headers: str) -> Response:
        """Open a page and follow its redirects."""
        self.page = self.http.get(address(path), headers=headers)
        return self.page

    def submit(self, path: str, **fields: str | list[str]) -> Response:
        """Send a form with the CSRF token of the current page."""
        return self.submit_with({}, path, **fields)

    def submit_with(
        self, headers: dict[str, str], path: str, **fields: str | list[str]
    ) -> Response:
        """Like `submit`, with headers that a browser would add."""
        fields = {"csrf_token": self.form_token, **fields}
        self.page = self.http.post(address(path), data=fields, headers=headers)
        return self.page

    def confirm(self, path: str, password: str = PASSWORD) -> Response:
        """Submit the page that asks for the password, with its hidden fields."""
        kept: dict[str, list[str]] = {}
        for name, value in _HIDDEN.findall(self.page.text):
            kept.setdefault(name, []).append(html.unescape(value))
        fields = {**kept, "confirmation_password": password}
        self.page = self.http.post(address(path), data=fields)
        return self.page

    def sign_in(self, email: str = "ada@example.org", password: str = PASSWORD) -> Response:
        self.open("/sign-in")
        return self.submit("/sign-in", username=email, password=password)

    def sign_in_to(self, next_page: str, email: str = "ada@example.org") -> Response:
        """Sign in by the form that is shown, which leads on to this page."""
        fields = {"username": email, "password": PASSWORD, "next": next_page}
        return self.submit("/sign-in", **fields)

    @property
    def form_token(self) -> str:
        found = _TOKEN.search(self.page.text)
        return found[1] if found else ""

    @property
    def token(self) -> str:
        """The access token in the cookie."""
        return str(self.http.cookies[COOKIE])

    def is_let_in(self, token: str) -> bool:
        """Whether a browser with this token in its cookie is signed in."""
        kept = dict(self.http.cookies)
        self.http.cookies.clear()
        self.http.cookies.set(COOKIE, token)
        page = self.http.get("/account")
        self.http.cookies.clear()
        self.http.cookies.update(kept)
        return "/sign-in" not in str(page.url)

    @property
    def text(self) -> str:
        """The text of the page without tags."""
        without_tags = re.sub(r"<[^>]*>", " ", self.page.text)
        return re.sub(r"\s+", " ", html.unescape(without_tags))


def key_on(console: ConsoleClient) -> str:
    """The API key that the page shows."""
    found = re.search(r"cfk_[A-Za-z0-9_-]{49}", console.page.text)
    assert found, console.text
    return found[0]


def promote(sql: Sql, email: str) -> None:
    """Give a user the role admin."""
    sql(
        "INSERT INTO user_roles (user_id, role_id) SELECT users.id, roles.id FROM users, roles"
        f" WHERE users.email = '{email}' AND roles.name = 'admin'"
    )
