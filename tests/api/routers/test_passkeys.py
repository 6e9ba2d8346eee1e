"""Passkeys by HTTP, signed by an authenticator in software."""

from typing import Any

import pytest
from httpx2 import Response

from tests.support.administrator import Sql
from tests.support.authenticator import Passkey
from tests.support.client import Client, Tokens


def begin(client: Client, tokens: Tokens) -> dict[str, Any]:
    answer = client.http.post("/passkeys/options", headers=tokens.headers)
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()
    return options


def add(
    client: Client, tokens: Tokens, passkey: Passkey, options: dict[str, Any] | None = None
) -> Response:
    created = passkey.register(options or begin(client, tokens))
    body = {"name": "Ada's phone", "credential": created}
    return client.http.post("/passkeys", headers=tokens.headers, json=body)


def test_a_passkey_is_added_renamed_listed_and_removed(client: Client) -> None:
    ada = client.sign_up()
    answer = add(client, ada, Passkey.synced())
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert (created["name"], created["backed_up"]) == ("Ada's phone", True)
    path = f"/passkeys/{created['id']}"
    renamed = client.http.patch(path, headers=ada.headers, json={"name": "Old phone"})
    assert renamed.json()["name"] == "Old phone"
    listed = client.http.get("/passkeys", headers=ada.headers).json()
    assert [one["name"] for one in listed] == ["Old phone"]
    assert client.http.delete(path, headers=ada.headers).status_code == 204
    assert client.http.get("/passkeys", headers=ada.headers).json() == []
    assert client.http.delete(path, headers=ada.headers).status_code == 404
