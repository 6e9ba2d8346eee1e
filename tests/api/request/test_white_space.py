"""White space that was copied with a token is not part of it; an empty header was not sent."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from api.commands.cli import cli
from counterfoil import tokens
from counterfoil.fastapi import Counterfoil
from counterfoil.tokens import TokenKind
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD, Client, MakeClient
from tests.support.console import COOKIE, ConsoleClient
from tests.support.factors import SECRET_KEY, complete, enrol, mfa_token
from tests.support.mailbox import Mailbox
from tests.support.oauth import DEVICE_GRANT, SECRET, Application, add_client

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


@dataclass(frozen=True)
class House:
    """A service with second factors, mails and a client, at whose pages Ada is signed in."""

    browser: ConsoleClient
    api: Client
    mailbox: Mailbox
    sql: Sql
    database_url: str

    def register(self, secret: str | None = None) -> Application:
        add_client(self.sql, self.database_url, secret=secret)
        return Application(self.browser, secret=secret)

    def ask_for_mail(self) -> str:
        """The transaction of the mail, which is in the mailbox."""
        answer = self.api.http.post("/password/forgot", json={"email": "ada@example.org"})
        return str(answer.json()["transaction"])


@pytest.fixture
def house(
    make_console: Callable[..., ConsoleClient], mailbox: Mailbox, sql: Sql, database_url: str
) -> House:
    browser = make_console(secret_keys=(SECRET_KEY,), **mailbox.settings)
    api = Client(browser.http)
    api.register()
    browser.sign_in()
    return House(browser, api, mailbox, sql, database_url)


def redeem_code(house: House) -> int:
    application = house.register()
    return application.redeem(pasted(application.get_code())).status_code


def redeem_device_code(house: House) -> int:
    application = house.register()
    codes = application.post("/device_authorization").json()
    house.browser.open("/device")
    house.browser.submit("/device", user_code=codes["user_code"])
    house.browser.submit("/device/decision", user_code=codes["user_code"], decision="allow")
    form = {"grant_type": DEVICE_GRANT, "device_code": pasted(codes["device_code"])}
    return application.post("/token", **form).status_code


def send_client_secret(house: House) -> int:
    application = house.register(secret=SECRET)
    code = application.get_code()
    return application.redeem(code, client_secret=pasted(SECRET)).status_code


def send_mfa_token(house: House) -> int:
    app = enrol(house.api, house.api.log_in(), house.sql)
    token = mfa_token(house.api.try_to_log_in())
    return complete(house.api, pasted(token), code=app.code()).status_code


def send_token_of_a_mail(house: House) -> int:
    house.ask_for_mail()
    return reset_password(house, token=pasted(house.mailbox.take_one().token))


def send_transaction_of_a_mail(house: House) -> int:
    transaction = house.ask_for_mail()
    code = house.mailbox.take_one().code
    return reset_password(house, transaction=pasted(transaction), code=pasted(code))


def reset_password(house: House, **proof: str) -> int:
    body = {**proof, "new_password": f"new {PASSWORD}"}
    return house.api.http.post("/password/reset", json=body).status_code


def send_cookie(house: House) -> int:
    cookie = f"{COOKIE}=\t{house.browser.token} "
    house.browser.http.cookies.clear()
    page = house.browser.http.get("/account", headers={"Cookie": cookie}, follow_redirects=False)
    return page.status_code


def configure_a_key(house: House) -> int:
    Counterfoil(FastAPI(), url="http://127.0.0.1:1", api_key=pasted(create_key()))
    return 200


def create_key() -> str:
    return tokens.create(TokenKind.API_KEY).text


def pasted(text: str) -> str:
    return f"\ufeff \t{text}\u00a0\u200b\r\n"


DOORS = [
    *(redeem_code, redeem_device_code, send_client_secret, send_mfa_token, send_token_of_a_mail),
    *(send_transaction_of_a_mail, send_cookie, configure_a_key),
]


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_a_secret_that_was_pasted_with_white_space(
    house: House, door: Callable[[House], int]
) -> None:
    assert door(house) in {200, 204}


def test_only_what_is_around_a_token_is_removed() -> None:
    assert tokens.strip(" cfa_a b\n") == "cfa_a b"  # noqa: B005
    assert tokens.strip("\ufeff \n") == ""
