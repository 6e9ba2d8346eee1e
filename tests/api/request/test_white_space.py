"""White space that was copied with a token is not part of it; an empty header was not sent."""

import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.commands.cli import cli
from counterfoil import tokens
from tests.support.administrator import Sql, give_role
from tests.support.client import Client, MakeClient

pytestmark = pytest.mark.one_database

AROUND = [
    *("{}\n", "{}\r\n", " {}", "\t{}\t ", "\n\n{}\v"),
    *("\ufeff{}", "{}\u00a0", "\u200b{}\u2028"),
]
IN_A_HEADER = ["{} ", "\t{}", "  {}\t "]


@pytest.mark.parametrize("around", AROUND, ids=ascii)
def test_a_token_with_white_space_around_it_is_revoked(client: Client, around: str) -> None:
    session, other = client.sign_up(), client.log_in()
    key = client.create_api_key(other)["key"]
    for token in (session.access_token, session.refresh_token, key):
        sent = client.http.post("/revoke", data={"token": around.format(token)})
        assert sent.status_code == 200
    assert client.me(session).status_code == client.me(key).status_code == 401
    assert client.refresh(session.refresh_token).status_code == 400
    assert client.me(other).status_code == 200


@pytest.mark.parametrize("around", AROUND, ids=ascii)
def test_a_token_with_white_space_around_it_is_refreshed(client: Client, around: str) -> None:
    session = client.sign_up()
    assert client.refresh(around.format(session.refresh_token)).status_code == 200


@pytest.mark.parametrize("around", AROUND, ids=ascii)
def test_a_token_with_white_space_around_it_is_introspected(
    client: Client, sql: Sql, around: str
) -> None:
    client.register()
    give_role(sql, "admin")
    session = client.log_in()
    key = client.create_api_key(session, scopes=["introspect"])["key"]
    basic = base64.b64encode(b"any:" + (key + "\n").encode()).decode()
    for headers in ({"X-API-Key": key}, {"Authorization": f"Basic {basic}"}):
        form = {"token": around.format(session.access_token)}
        assert client.http.post("/introspect", data=form, headers=headers).json()["active"] is True


@pytest.mark.parametrize("around", AROUND, ids=ascii)
@pytest.mark.parametrize("is_piped", [False, True])
def test_commands_find_a_token_with_white_space_around_it(
    client: Client,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    around: str,
    is_piped: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    session = client.sign_up()
    key = client.create_api_key(session)["key"]
    for command, option, token in (
        ("api-keys", "--key", key),
        ("sessions", "--token", session.access_token),
    ):
        if is_piped:
            # One line is read.
            around = around.replace("\n\n", "")
        text = around.format(token)
        given, piped = ("-", text) if is_piped else (text, "")
        result = CliRunner().invoke(cli, [command, "revoke", option, given], input=piped)
        assert result.exit_code == 0, result.output
    assert client.me(session).status_code == client.me(key).status_code == 401


@pytest.mark.parametrize("around", IN_A_HEADER, ids=ascii)
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "Token"])
def test_a_header_with_white_space_around_the_token_is_read(
    client: Client, header: str, around: str
) -> None:
    session = client.sign_up()
    scheme = "Bearer " if header == "Authorization" else ""
    sent = scheme + around.format(session.access_token)
    assert client.http.get("/users/me", headers={header: sent}).status_code == 200


@pytest.mark.parametrize("empty", ["", " ", "\t"])
@pytest.mark.parametrize("header", ["X-API-Key", "Token"])
def test_an_empty_header_beside_a_credential_counts_as_not_sent(
    client: Client, header: str, empty: str
) -> None:
    session = client.sign_up()
    for path in ("/users/me", "/verify", "/sessions"):
        answer = client.http.get(path, headers={**session.headers, header: empty})
        assert answer.status_code == 200


@pytest.mark.parametrize("scheme", ["", "Bearer", "Bearer ", "bearer \t"])
def test_an_empty_bearer_beside_an_api_key_counts_as_not_sent(client: Client, scheme: str) -> None:
    key = client.create_api_key(client.sign_up())["key"]
    headers = {"X-API-Key": key, "Authorization": scheme}
    assert client.http.get("/users/me", headers=headers).status_code == 200


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "Token"])
def test_empty_headers_alone_are_no_credential(client: Client, header: str) -> None:
    answer = client.http.get("/users/me", headers={header: " "})
    assert answer.json()["code"] == "not_authenticated"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_configured_headers_are_read_in_the_same_way(make_client: MakeClient) -> None:
    client = make_client(api_key_headers=("X-Key",))
    key = client.create_api_key(client.sign_up())["key"]
    assert client.http.get("/users/me", headers={"X-Key": f" {key}\t"}).status_code == 200
    headers = {"X-Key": "", "Authorization": f"Bearer {key}"}
    assert client.http.get("/users/me", headers=headers).status_code == 200


def test_only_what_is_around_a_token_is_removed() -> None:
    assert tokens.strip(" cfa_a b\n") == "cfa_a b"  # noqa: B005
    assert tokens.strip("\ufeff \n") == ""
