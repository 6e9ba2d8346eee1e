"""Text that is meant to be taken for something else: SQL, a header, a line of the log."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from faults import looks
from faults.calls import PASSWORD, Answer, Caller, read_tokens
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, sign_up
from tests.support.server import Server

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
_ADMINISTRATOR = (
    "INSERT INTO user_roles (user_id, role_id)"
    " SELECT users.id, roles.id FROM users, roles WHERE roles.name = 'admin'"
)


@scenario("F24", f"{len(SQL)} strings of SQL in every parameter and text field")
def sql_in_every_field(stage: Stage) -> Seen:
    url = stage.database()
    # Otherwise it would be the throttle that answers.
    service = stage.serve(url, login_throttle=False)
    token = sign_up(service).access_token
    looks.run_sql(url, _ADMINISTRATOR)
    before = looks.run_sql(url, "SELECT count(*) FROM users")
    answers = []
    with Caller(service.url) as caller:
        description = caller.call("GET", "/openapi.json").body
        for text in SQL:
            answers += [caller.call("GET", path, token=token) for path in _paths(description, text)]
            answers += _bodies(caller, token, text)
        in_again = caller.log_in(EMAIL).status
    wrong = [answer for answer in answers if not 200 <= answer.status < 500 or answer.seconds > 4]
    let_in = [one for one in answers if one.call == "POST /login" and one.status == 200]
    after = looks.run_sql(url, "SELECT count(*) FROM users")
    held = not wrong and not let_in and in_again == 200 and after == before
    return Seen(
        held,
        f"{looks.count(answers)}; slowest {looks.slowest(answers):.1f} s;"
        f" {len(let_in)} let in; {before[0][0]} user before, {after[0][0]} after",
    )


def _paths(description: Any, text: str) -> Iterator[str]:
    """Every GET of the description once for each of its parameters."""
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
def smuggled_lines(stage: Stage) -> Seen:
    service = stage.serve(stage.database(), issuer="https://auth.example.org")
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
        still = caller.use(read_tokens(caller.log_in(EMAIL)).access_token).status
        first = caller.use(tokens.access_token).status
    forged = [line for line in service.log().splitlines() if not _is_entry(line)]
    held = (
        length_and_chunks.startswith("HTTP/1.1 400 ")
        and length_and_chunks.count("HTTP/1.1 ") == 1
        and "evil" not in metadata
        and '"issuer":"https://auth.example.org"' in metadata.replace('": "', '":"')
    )
    return Seen(
        held and not forged and (still, first) == (200, 200),
        f"length and chunks {length_and_chunks[9:12]}, once; issuer as set;"
        f" {len(forged)} lines of the log forged",
    )


def _raw(service: Server, request: str) -> str:
    """All that comes back until the server closes, or says nothing more."""
    found = b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=2) as connection:
        connection.sendall(request.encode())
        with suppress(OSError):
            while piece := connection.recv(65_536):
                found += piece
    return found.decode()


def _is_entry(line: str) -> bool:
    """Whether a line is one that we wrote: JSON, but for what `serve` says at its start."""
    try:
        return "message" in json.loads(line)
    except ValueError:
        return "FORGED" not in line
