"""Injection attacks: SQL, request smuggling, forged headers and forged lines of the log."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from faults import observe
from faults.calls import PASSWORD, Answer, Caller, read_tokens
from faults.context import EMAIL, ScenarioContext, sign_up
from faults.registry import Outcome, scenario
from harness.programs import require_program
from harness.server import Server

SQL = (
    "'",
    '"',
    "' OR '1'='1",
    "1 OR 1=1",
    "') OR ('1'='1' --",
    "'; DROP TABLE users; --",
    "' UNION SELECT hashed_password FROM users --",
    "1; SELECT pg_sleep(5)",
    "' || pg_sleep(5) || '",
    "%' AND 1=CAST((SELECT version()) AS int) --",
    "\\'; --",
    "$1",
    "%s",
    ":id",
)
# The path and the options of sqlmap for each target. An asterisk marks an injection point.
_SQLMAP_TARGETS = {
    "login": (
        "/login",
        f"--data={json.dumps({'username': EMAIL, 'password': PASSWORD})}",
        "-H",
        "Content-Type: application/json",
    ),
    "token": (
        "/token",
        f"--data=grant_type=password&username={EMAIL}&password={quote(PASSWORD)}&scope=account",
    ),
    "introspection": ("/introspect", "--data=token={token}&token_type_hint=access_token"),
    "bearer token": ("/users/me", "--headers=Authorization: Bearer {token}*"),
    "search for users": ("/admin/users?q=ada&role=admin&limit=10",),
    "audit log": ("/admin/audit-events?event=login.succeeded&subject=user:1&limit=10",),
}
_ADMINISTRATOR = (
    "INSERT INTO user_roles (user_id, role_id)"
    " SELECT users.id, roles.id FROM users, roles WHERE roles.name = 'admin'"
)


@scenario("F24", f"{len(SQL)} strings of SQL in every parameter and text field")
def sql_in_every_field(context: ScenarioContext) -> Outcome:
    url = context.database()
    # Otherwise the throttle would answer most logins.
    service = context.serve(url, login_throttle=False)
    token = sign_up(service).access_token
    observe.run_sql(url, _ADMINISTRATOR)
    before = observe.run_sql(url, "SELECT count(*) FROM users")
    answers = []
    with Caller(service.url) as caller:
        description = caller.call("GET", "/openapi.json").body
        for text in SQL:
            answers += [caller.call("GET", path, token=token) for path in _paths(description, text)]
            answers += _bodies(caller, token, text)
        owner = caller.log_in(EMAIL).status
    wrong = [answer for answer in answers if not 200 <= answer.status < 500 or answer.seconds > 4]
    logged_in = [one for one in answers if one.call == "POST /login" and one.status == 200]
    after = observe.run_sql(url, "SELECT count(*) FROM users")
    held = not wrong and not logged_in and owner == 200 and after == before
    return Outcome(
        held,
        f"{observe.statuses(answers)}; slowest {observe.slowest(answers):.1f} s;"
        f" {len(logged_in)} logged in; {before[0][0]} user before, {after[0][0]} after",
    )


@scenario("F24", "sqlmap, level 3, at what takes text: logins, tokens, searches")
def sqlmap_scan(context: ScenarioContext) -> Outcome:
    url = context.database()
    # Its logins would otherwise revoke the session in which all but the logins are scanned.
    service = context.serve(
        url,
        login_throttle=False,
        introspection_misses_per_minute=1_000_000,
        max_sessions_per_user=1_000_000,
    )
    token = sign_up(service).access_token
    observe.run_sql(url, _ADMINISTRATOR)
    found = {
        name: _sqlmap(context, service, token, *options)
        for name, options in _SQLMAP_TARGETS.items()
    }
    errors = sum('"status": 5' in line for line in service.log().splitlines())
    with Caller(service.url) as caller:
        status = caller.use(token).status
    return Outcome(
        all(verdict == "nothing" for verdict in found.values()) and not errors and status == 200,
        f"{', '.join(f'{name}: {verdict}' for name, verdict in found.items())};"
        f" {errors} answers above 499",
    )


def _sqlmap(context: ScenarioContext, service: Server, token: str, path: str, *options: str) -> str:
    """sqlmap's verdict. "nothing" only if it says so, as it may also have failed."""
    bearer = () if any("Authorization" in option for option in options) else (token,)
    run = subprocess.run(
        [
            *(require_program("sqlmap"), "--batch", "--level=3", "--technique=BEUQ"),
            *("--dbms=PostgreSQL", "--ignore-code=*", "--threads=4", "--disable-coloring"),
            *(f"--output-dir={context.folder()}", "-u", f"{service.url}{path}"),
            *(f"--headers=Authorization: Bearer {one}" for one in bearer),
            *(option.replace("{token}", token) for option in options),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if "all tested parameters do not appear to be injectable" in run.stdout:
        return "nothing"
    return "an injection" if "injection point" in run.stdout else "no verdict"


def _paths(description: Any, text: str) -> Iterator[str]:
    """The paths of all GET operations, once with the text in each of their parameters."""
    for path, operations in description["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", []):
            if parameter["in"] == "query":
                yield f"{path}?{urlencode({parameter['name']: text})}"
            elif parameter["in"] == "path":
                yield path.replace(f"{{{parameter['name']}}}", quote(text, safe=""))


def _bodies(caller: Caller, token: str, text: str) -> Iterator[Answer]:
    names = ("username", "password", "client_id", "scope")
    login = {"username": EMAIL, "password": "wrong"}
    account = {"email": "bob@example.org", "password": PASSWORD, "name": "Bob"}
    for name in names:
        yield caller.call("POST", "/login", json_body={**login, name: text})
        yield caller.call("POST", "/token", form={"grant_type": "password", **login, name: text})
    for name in ("email", "username"):
        yield caller.call("POST", "/register", json_body={**account, "name": "", name: text})
    for name in ("name", "surname", "website", "username", "email"):
        yield caller.call("PATCH", "/users/me", token=token, json_body={name: text})
    for name in ("name", "scopes"):
        yield caller.call("POST", "/api-keys", token=token, json_body={"name": "x", name: text})
    for path in ("/introspect", "/revoke"):
        yield caller.call("POST", path, token=token, form={"token": text, "token_type_hint": text})


@scenario("F24", "two lengths, CRLF in names and paths, another Host: by raw sockets", quick=True)
def request_smuggling(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database(), issuer="https://auth.example.org")
    tokens = sign_up(service)
    length_and_chunks = _raw(
        service,
        "POST /revoke HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
        "\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    metadata = _raw(
        service,
        "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: evil.example\r\n"
        "X-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n",
    )
    with Caller(service.url) as caller:
        for name in ("ada\r\nFORGED", "ada\nFORGED", "ada\u2028FORGED"):
            caller.log_in(name)
            caller.call("GET", f"/{quote(name)}")
        new = caller.use(read_tokens(caller.log_in(EMAIL)).access_token).status
        old = caller.use(tokens.access_token).status
    forged = [line for line in service.log().splitlines() if not _is_entry(line)]
    held = (
        length_and_chunks.startswith("HTTP/1.1 400 ")
        and length_and_chunks.count("HTTP/1.1 ") == 1
        and "evil" not in metadata
        and '"issuer":"https://auth.example.org"' in metadata.replace('": "', '":"')
    )
    return Outcome(
        held and not forged and (new, old) == (200, 200),
        f"length and chunks {length_and_chunks[9:12]}, once; issuer as set;"
        f" {len(forged)} lines of the log forged",
    )


def _raw(service: Server, request: str) -> str:
    """Send raw bytes. Returns what is received until the server closes or is silent for 2 s."""
    response = b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=2) as connection:
        connection.sendall(request.encode())
        with suppress(OSError):
            while piece := connection.recv(65_536):
                response += piece
    return response.decode()


def _is_entry(line: str) -> bool:
    """Whether the service wrote a line: JSON, or a message of `serve` before it starts."""
    try:
        return "message" in json.loads(line)
    except ValueError:
        return "FORGED" not in line
