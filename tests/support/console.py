"""Uses the console as a browser without scripts does: pages, their forms, and the cookie."""

import html
import re
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from tests.support.client import PASSWORD

Sql = Callable[..., object]

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


class ConsoleClient:
    """`page` is the answer that is looked at; the forms are those of that page."""

    def __init__(self, app: FastAPI) -> None:
        # Cookies that are for HTTPS alone are sent back by HTTPS alone.
        self.http = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)
        self.page: Response

    def open(self, path: str, **headers: str) -> Response:
        """Go to a page, and on to where it sends us."""
        self.page = self.http.get(f"/console{path}", headers=headers)
        return self.page

    def submit(self, path: str, **fields: str | list[str]) -> Response:
        """Send a form with the token of the page that is looked at."""
        return self.submit_with({}, path, **fields)

    def submit_with(
        self, headers: dict[str, str], path: str, **fields: str | list[str]
    ) -> Response:
        """The same with headers that a browser adds."""
        fields = {"csrf_token": self.form_token, **fields}
        self.page = self.http.post(f"/console{path}", data=fields, headers=headers)
        return self.page

    def confirm(self, path: str, password: str = PASSWORD) -> Response:
        """Answer the page that asks for the password, with all that it holds."""
        kept: dict[str, list[str]] = {}
        for name, value in _HIDDEN.findall(self.page.text):
            kept.setdefault(name, []).append(html.unescape(value))
        fields = {**kept, "confirmation_password": password}
        self.page = self.http.post(f"/console{path}", data=fields)
        return self.page

    def sign_in(self, email: str = "ada@example.org", password: str = PASSWORD) -> Response:
        self.open("/sign-in")
        return self.submit("/sign-in", username=email, password=password)

    @property
    def form_token(self) -> str:
        found = _TOKEN.search(self.page.text)
        return found[1] if found else ""

    @property
    def token(self) -> str:
        """The access token in the cookie."""
        return str(self.http.cookies["__Host-counterfoil_session"])

    @property
    def text(self) -> str:
        """What can be read on the page."""
        without_tags = re.sub(r"<[^>]*>", " ", self.page.text)
        return re.sub(r"\s+", " ", html.unescape(without_tags))


def promote(sql: Sql, email: str) -> None:
    """Make somebody an administrator, as by SQL."""
    sql(
        "INSERT INTO user_roles (user_id, role_id) SELECT users.id, roles.id FROM users, roles"
        f" WHERE users.email = '{email}' AND roles.name = 'admin'"
    )
