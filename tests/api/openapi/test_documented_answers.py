"""Every answer that the description has can really occur.

Of API keys, the OAuth endpoints, administration and forward-auth.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from httpx2 import Response

from scripts.docs import endpoint_reference
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD, Client, Tokens

pytestmark = pytest.mark.one_database

LOGIN = {"username": "ada@example.org", "password": PASSWORD}


@dataclass
class Operation:
    """Sends a request as the administrator unless it is told otherwise."""

    name: str
    client: Client
    tokens: Tokens
    key: dict[str, Any]
    known: dict[str, Any]

    def send(self, identifier: Any = None, **request: Any) -> Response:
        method, path = self.name.split()
        path = re.sub("{(.*)}", lambda name: str(identifier or self.known[name[1]]), path)
        return self.client.http.request(method, path, **{"headers": self.tokens.headers, **request})

    def send_narrowed(self, **request: Any) -> Response:
        return self.send(headers=self.client.log_in(scope="account").headers, **request)


Provocations = dict[int, Callable[[Operation], Response]]

MANAGING: Provocations = {
    400: lambda call: call.send(headers={**call.tokens.headers, "X-API-Key": "another"}),
    401: lambda call: call.send(headers={}),
    403: lambda call: call.send(headers={"X-API-Key": call.key["key"]}),
}
WITH_ID: Provocations = {
    404: lambda call: call.send(uuid4()),
    422: lambda call: call.send("no-uuid"),
}
WITH_BODY: Provocations = {
    413: lambda call: call.send(content=b" " * 70_000),
    415: lambda call: call.send(
        content=b"{}", headers={**call.tokens.headers, "Content-Type": "text/plain"}
    ),
}
OAUTH: Provocations = {400: lambda call: call.send(data={}), **WITH_BODY}
OF_CLIENTS: Provocations = {
    **OAUTH,
    401: lambda call: call.send(
        data={**LOGIN, "token": "x"}, headers={}, auth=("registered", "wrong secret")
    ),
}

ADMIN: Provocations = {**MANAGING, 403: lambda call: call.send_narrowed()}
SEARCH: Provocations = {
    **ADMIN,
    200: lambda call: call.send(),
    422: lambda call: call.send(params={"limit": 0}),
}
OF_A_USER: Provocations = {
    **ADMIN,
    404: lambda call: call.send(99),
    422: lambda call: call.send("no-number"),
}
VERIFY: Provocations = {
    200: lambda call: call.send(),
    401: lambda call: call.send(headers={}),
    403: lambda call: call.send_narrowed(params={"scope": "admin"}),
}

ANSWERS: dict[str, Provocations] = {
    "GET /admin/users": SEARCH,
    "GET /admin/users/{user_id}": {**OF_A_USER, 200: lambda call: call.send()},
    "PATCH /admin/users/{user_id}": {
        **ADMIN,
        **WITH_BODY,
        200: lambda call: call.send(json={}),
        404: lambda call: call.send(99, json={}),
        409: lambda call: call.send(json={"roles": []}),
        422: lambda call: call.send(json={"password": "x"}),
    },
    "DELETE /admin/users/{user_id}/sessions": {**OF_A_USER, 200: lambda call: call.send()},
    "GET /admin/users/{user_id}/api-keys": {**OF_A_USER, 200: lambda call: call.send()},
    "DELETE /admin/api-keys/{api_key_id}": {**ADMIN, **WITH_ID, 204: lambda call: call.send()},
    "GET /admin/sessions": SEARCH,
    "DELETE /admin/sessions/{session_id}": {
        **ADMIN,
        404: WITH_ID[404],
        422: lambda call: call.send(params={"keep_current": True}),
        204: lambda call: call.send(),
    },
    "POST /admin/sessions/revoke": {
        **ADMIN,
        **WITH_BODY,
        200: lambda call: call.send(json={"ids": ["*"]}),
        422: lambda call: call.send(json={"ids": []}),
    },
    "GET /admin/audit-events": SEARCH,
    "GET /admin/roles": {**ADMIN, 200: lambda call: call.send()},
    "GET /verify": VERIFY,
    "GET /verify/{path}": VERIFY,
    "GET /api-keys": {
        **MANAGING,
        200: lambda call: call.send(),
        422: lambda call: call.send(params={"limit": 0}),
    },
    "POST /api-keys": {
        201: lambda call: call.send(json={"name": "The second key"}),
        409: lambda call: call.send(json={"name": "One too many"}),
        422: lambda call: call.send(json={}),
        **MANAGING,
        **WITH_BODY,
    },
    "DELETE /api-keys/{api_key_id}": {**MANAGING, **WITH_ID, 204: lambda call: call.send()},
    "POST /api-keys/{api_key_id}/rotate": {
        201: lambda call: call.send(),
        409: lambda call: [call.send(), call.send()][1],
        **MANAGING,
        **WITH_ID,
        **WITH_BODY,
    },
    "POST /introspect": {
        200: lambda call: call.send(data={"token": call.key["key"]}),
        401: lambda call: call.send(data={"token": call.key["key"]}, headers={}),
        403: lambda call: call.send_narrowed(data={"token": call.key["key"]}),
        **OAUTH,
    },
    "POST /revoke": {200: lambda call: call.send(data={"token": call.key["key"]}), **OF_CLIENTS},
    "POST /token": {200: lambda call: call.send(data=LOGIN), **OF_CLIENTS},
    "GET /.well-known/oauth-authorization-server": {200: lambda call: call.send()},
}


# Too slow, too often, and no database: these take more than one request to bring about.
ELSEWHERE = {408, 429, 503}


def prepare(client: Client, sql: Sql, name: str) -> Operation:
    client.register()
    sql(
        "INSERT INTO oauth_clients (id, name, grants, secret_digest)"
        " VALUES ('registered', 'Registered', 'password', '12345678901234567890123456789012')"
    )
    give_role(sql, "admin")
    tokens = client.log_in()
    key = client.create_api_key(tokens)
    session_id = client.sessions(tokens)[0]["id"]
    known = {"api_key_id": key["id"], "session_id": session_id, "user_id": 1, "path": "x"}
    return Operation(name, client, tokens, key, known)


@contextmanager
def locked(url: str) -> Iterator[None]:
    with closing(psycopg2.connect(url)) as server, server.cursor() as cursor:
        cursor.execute("LOCK TABLE users, sessions, access_tokens, api_keys")
        yield


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_that_is_documented_can_occur(
    make_client: Callable[..., Client], sql: Sql, name: str
) -> None:
    client = make_client(max_api_keys_per_user=2)
    method, path = name.split()
    documented = endpoint_reference.description()["paths"][path][method.lower()]["responses"]
    operation = prepare(client, sql, name)

    occurred = {status: ANSWERS[name][status](operation).status_code for status in ANSWERS[name]}

    assert occurred == {status: status for status in ANSWERS[name]}
    assert {int(status) for status in documented} - ELSEWHERE == set(occurred)


# A reader of SQLite waits for nobody, so that there is no way to hold all of these up there.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("name", ANSWERS)
def test_a_database_that_does_not_answer_is_a_503_where_that_is_documented(
    make_client: Callable[..., Client], sql: Sql, database_url: str, name: str
) -> None:
    client = make_client()
    method, path = name.split()
    documented = endpoint_reference.description()["paths"][path][method.lower()]["responses"]
    # What is prepared has the usual deadline, as a busy machine would miss the short one.
    hurried = make_client(database_deadline_seconds=0.3)
    operation = replace(prepare(client, sql, name), client=hurried)
    success = min(ANSWERS[name])

    with locked(database_url):
        answer = ANSWERS[name][success](operation)

    assert (answer.status_code == 503) is ("503" in documented)
    assert ("retry-after" in answer.headers) is ("503" in documented)
