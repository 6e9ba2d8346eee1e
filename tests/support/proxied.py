"""A protected application behind a proxy, and the users who call it."""

import http.client
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2

from harness.echo import Echo
from harness.proxies import Proxy
from harness.server import Server
from tests.support.client import PASSWORD

# What follows "X-Auth-" in the names of headers that say who calls.
IDENTITY = ["User", "Email", "Roles", "Scopes", "Session", "Client", "Time", "Acr", "Amr"]
_numbers = iter(range(1_000_000))


@dataclass
class Caller:
    """A user who is logged in."""

    user_id: int
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class House:
    """A service, an application, and a proxy in front of them."""

    def __init__(self, service: Server, application: Echo, proxy: Proxy, database: Path) -> None:
        self.service = service
        self.application = application
        self.proxy = proxy
        self._database = database
        self._http = httpx2.Client(base_url=proxy.app_url, timeout=20)
        self._direct = httpx2.Client(base_url=service.url)

    def sql(self, statement: str, *parameters: Any) -> None:
        with closing(sqlite3.connect(self._database)) as file, file:
            file.execute("PRAGMA foreign_keys = ON")
            file.execute(statement, parameters)

    def sign_up(self, **fields: Any) -> Caller:
        email = f"user{next(_numbers)}@example.org"
        body = {"email": email, "password": PASSWORD, "name": "Ada"}
        user = self._direct.post("/register", json=body).json()
        login = {"email": email, "password": PASSWORD, **fields}
        token = self._direct.post("/login", json=login).json()["access_token"]
        return Caller(user["id"], email, token)

    def call(self, path: str = "/", method: str = "GET", **options: Any) -> httpx2.Response:
        return self._http.request(method, path, **options)

    def call_literally(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        """The status for a path that no client has tidied up, and the path that was forwarded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.app_port, timeout=20)
        with closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, json.loads(text)["path"] if answer.status == HTTPStatus.OK else ""

    def create_role(self, caller: Caller, scopes: str) -> None:
        """Give the caller a new role with these scopes."""
        role = f"role{next(_numbers)}"
        self.sql("INSERT INTO roles (name, scopes) VALUES (?, ?)", role, scopes)
        of_name = "SELECT ?, id FROM roles WHERE name = ?"
        self.sql(f"INSERT INTO user_roles {of_name}", caller.user_id, role)

    def close(self) -> None:
        self._http.close()
        self._direct.close()


def identity_headers(response: httpx2.Response) -> dict[str, str]:
    """What reached the application under any spelling that it might take for ours."""
    assert response.status_code == 200, response.text
    headers = response.json()["headers"]
    # RFC 9110, 5.6.2 lists the characters in names of headers.
    pairs = [(re.sub("[^a-z0-9]", "-", name.lower()), value) for name, value in headers]
    found = [(name, value) for name, value in pairs if name.startswith("x-auth")]
    assert len(found) == len(dict(found)), f"the application must choose between {found}"
    return dict(found)
