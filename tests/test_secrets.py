"""No token and no password is left anywhere: a walk through a real server, then a search."""

from typing import Any

import httpx2

from harness.server import Server
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD

WRONG = "a wrong passphrase 4711"
NEW = "an entirely new passphrase"
FORGED = "\r\nFORGED: all is well\r\n"


class Walker:
    """Calls endpoints and keeps every secret that went either way."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.Client(base_url=url, timeout=30)
        self.secrets = {PASSWORD, WRONG, NEW}

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.http.request(method, path, headers=headers, **options)
        assert answer.status_code < 500, answer.text
        body = answer.json() if answer.content else {}
        if isinstance(body, dict):
            kinds = ("access_token", "refresh_token", "key")
            self.secrets |= {body[kind] for kind in kinds if kind in body}
        return body

    def log_in(self, name: str, password: str = PASSWORD, **fields: Any) -> Any:
        return self.call("POST", "/login", json={"username": name, "password": password, **fields})


def walk(walker: Walker, sql: Sql) -> None:
    for name in ("ada", "root"):
        body = {"email": f"{name}@example.org", "username": name, "name": name}
        walker.call("POST", "/register", json={**body, "password": PASSWORD})
    give_role(sql, "admin", "root@example.org")
    tokens, admin = walker.log_in("ada"), walker.log_in("root")["access_token"]
    use_an_account(walker, tokens)
    misuse(walker, tokens)
    administer(walker, admin)


def use_an_account(walker: Walker, tokens: Any) -> None:
    token = tokens["access_token"]
    key = walker.call("POST", "/api-keys", token, json={"name": "key", "scopes": []})
    walker.call("POST", f"/api-keys/{key['id']}/rotate", token)
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    other = walker.call("POST", "/token", data=form)
    refresh = {"grant_type": "refresh_token", "refresh_token": other["refresh_token"]}
    renewed = walker.call("POST", "/token", data=refresh)
    walker.call("POST", "/token", data=refresh)
    walker.call("POST", "/introspect", token, data={"token": renewed["access_token"]})
    walker.call("POST", "/revoke", data={"token": renewed["refresh_token"]})
    for path in ("/users/me", "/sessions", "/api-keys", "/verify", "/health/ready"):
        walker.call("GET", path, token)
    change = {"current_password": WRONG, "new_password": NEW}
    walker.call("PUT", "/users/me/password", token, json=change)
    change = {"current_password": PASSWORD, "new_password": NEW}
    walker.call("PUT", "/users/me/password", token, json=change)
    email = {"email": "new@example.org", "current_password": NEW}
    walker.call("PATCH", "/users/me", token, json=email)


def misuse(walker: Walker, tokens: Any) -> None:
    token, refresh = tokens["access_token"], tokens["refresh_token"]
    walker.log_in("ada", WRONG)
    walker.log_in(PASSWORD, "ada")
    walker.log_in(f"ada{FORGED}", WRONG)
    walker.call("POST", "/token", data={"username": f"ada{FORGED}", "password": WRONG})
    walker.call("POST", "/login", json={"password": WRONG})
    walker.call("GET", "/users/me", params={"access_token": token})
    walker.call("GET", f"/sessions/{token}")
    walker.call("DELETE", f"/sessions/{token}", token)
    walker.call("GET", "/verify/callback", token, params={"code": refresh, "password": NEW})
    walker.call("GET", "/%0d%0aFORGED: all is well")
    walker.call("GET", "/users/me", refresh)
    walker.call("POST", "/token", params={"username": "ada", "password": NEW})


def administer(walker: Walker, admin: str) -> None:
    for path in ("users", "users/1", "users/1/api-keys", "sessions", "audit-events", "roles"):
        walker.call("GET", f"/admin/{path}", admin)
    walker.call("PATCH", "/admin/users/1", admin, json={"password": NEW})
    walker.call("PATCH", "/admin/users/1", admin, json={"roles": ["user"], "is_active": False})
    walker.call("POST", "/admin/sessions/revoke", admin, json={"ids": ["*"]})
    walker.call("POST", "/logout", admin)


def everything_stored(sql: Sql, url: str) -> str:
    if url.startswith("sqlite"):
        names = [row[0] for row in sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
    else:
        names = [
            row[0] for row in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
    return "\n".join(str(row) for name in names for row in sql(f'SELECT * FROM "{name}"'))


def test_no_secret_is_stored_or_logged(database_url: str, sql: Sql) -> None:
    environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    with Server.launch(database_url, environment=environment) as server:
        walker = Walker(server.url)
        with walker.http:
            walk(walker, sql)
        server.stop()
        log = server.log()

    stored = everything_stored(sql, database_url)
    assert "ada" in stored
    assert "/users/me" in log
    assert len(walker.secrets) > 12
    for secret in walker.secrets:
        assert secret not in stored
        assert secret not in log
    assert not [line for line in log.splitlines() if line.startswith("FORGED")]
