"""From another site to an application's loopback listener, in a real Chromium without scripts."""

import html
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from harness.callback import Listener, listen
from harness.server import Server
from tests.support.browser import Browser, open_browser
from tests.support.client import PASSWORD
from tests.support.oauth import add_client, challenge_of

VERIFIER = "v" * 43
EVIL = "Calendar <img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def database(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("oauth") / "oauth.db"))


@pytest.fixture(scope="module")
def server(database: Path) -> Iterator[Server]:
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_LOGIN_THROTTLE": "off",
        "COUNTERFOIL_LOG_LEVEL": "debug",
    }
    with Server.launch(f"sqlite:///{database}", environment=environment) as server:
        account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
        assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
        yield server


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listen() as listener:
        yield listener


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    chromium = browser.page.context.browser
    assert chromium is not None
    with chromium.new_context(java_script_enabled=False) as context:
        yield context


class Way:
    """A person in a browser who goes from a page of another site to /authorize.

    The page is of "localhost", which is another site than 127.0.0.1.
    """

    def __init__(self, page: Page, server: Server, listener: Listener, client_id: str) -> None:
        self.page = page
        self.server = server
        self.listener = listener
        self.client_id = client_id
        self.requests: list[dict[str, str]] = []
        page.on("request", lambda request: self.requests.append(request.all_headers()))

    def go(self, **changes: str) -> None:
        """Follow the link of the other site."""
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.listener.redirect_uri,
            "state": "a state & more",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        link = html.escape(f"{self.server.url}/authorize?{urlencode(parameters)}")
        self.listener.pages["/"] = f'<a href="{link}">Log in</a>'
        self.page.goto(f"http://localhost:{self.listener.port}/")
        self.page.get_by_role("link", name="Log in").click()

    def sign_in(self) -> None:
        self.page.get_by_label("E-mail or username").fill("ada@example.org")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.press("Sign in")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def expect_consent(self) -> None:
        expect(self.page.get_by_role("heading", name="Allow access")).to_be_visible()

    def answer(self) -> dict[str, str]:
        """What has come to the listener. It tells nobody where the browser was before."""
        call = self.listener.take()
        expect(self.page.get_by_text("You can close this window.")).to_be_visible()
        assert call.referer is None
        answer = dict(parse_qsl(urlsplit(call.path).query))
        assert (answer["iss"], answer["state"]) == (self.server.url, "a state & more")
        return answer

    def redeem(self, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "redirect_uri": self.listener.redirect_uri,
            "code": code,
            "code_verifier": VERIFIER,
        }
        answer = httpx2.post(f"{self.server.url}/token", data=form)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def status(self, tokens: dict[str, Any]) -> int:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return httpx2.get(f"{self.server.url}/users/me", headers=headers).status_code


def run(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as file, file:
        file.execute("PRAGMA busy_timeout = 5000")
        file.execute(statement)


def test_the_way_from_another_site_to_a_token_and_to_its_end(
    context: BrowserContext, server: Server, listener: Listener, database: Path
) -> None:
    def sql(statement: str) -> None:
        run(database, statement)

    add_client(sql, "sqlite", "tool", name=EVIL, redirect_uris="http://127.0.0.1/callback")
    way = Way(context.new_page(), server, listener, "tool")
    way.go()
    way.sign_in()
    way.expect_consent()
    expect(way.page.get_by_text(EVIL)).to_be_visible()
    way.press("Deny")
    assert way.answer()["error"] == "access_denied"

    # Who is signed in already is not asked for the password again.
    way.go()
    way.expect_consent()
    way.press("Allow")
    code = way.answer()["code"]
    tokens = way.redeem(code)
    assert way.status(tokens) == 200

    # A program without a secret could be imitated, so it always asks.
    way.go(prompt="none")
    assert way.answer()["error"] == "consent_required"

    # The password was given longer ago than the client allows.
    sql("UPDATE sessions SET confirmed_at = datetime('now', '-2 seconds')")
    way.go(prompt="none", max_age="1")
    assert way.answer()["error"] == "login_required"
    way.go(max_age="1")
    way.sign_in()
    way.expect_consent()
    way.press("Allow")
    second = way.answer()["code"]

    way.page.goto(f"{server.url}/account")
    way.press(f"Take back the access of {EVIL}")
    expect(way.page.get_by_role("status")).to_contain_text("The application has no access any more")
    assert way.status(tokens) == 401

    logged = server.log()
    assert "/authorize" in logged
    for secret in (code, second, "cfc_", "cft_"):
        assert secret not in logged
        assert not any(secret in sent.get("referer", "") for sent in way.requests)


def test_an_application_of_our_own_is_reached_without_consent(
    context: BrowserContext, server: Server, listener: Listener, database: Path
) -> None:
    address = "http://127.0.0.1/callback"
    fields = {"redirect_uris": address, "is_first_party": True, "name": "Own"}
    add_client(lambda statement: run(database, statement), "sqlite", "own", **fields)
    way = Way(context.new_page(), server, listener, "own")
    way.go(prompt="none")
    assert way.answer()["error"] == "login_required"
    way.go()
    way.sign_in()
    assert way.status(way.redeem(way.answer()["code"])) == 200
    way.go(prompt="none")
    assert "code" in way.answer()


def test_forms_of_another_site_are_rejected(
    context: BrowserContext, server: Server, listener: Listener
) -> None:
    page = context.new_page()
    for path, fields in (
        ("/sign-in", {"username": "ada@example.org", "password": PASSWORD}),
        ("/authorize/decision", {"decision": "allow", "transaction": "cft_x"}),
        ("/device/decision", {"decision": "allow", "user_code": "BBBB-BBBB"}),
        ("/account/applications/tool/remove", {}),
    ):
        inputs = "".join(f'<input name="{name}" value="{text}">' for name, text in fields.items())
        action = f"{server.url}{path}"
        listener.pages["/"] = f'<form method="post" action="{action}">{inputs}<button>Win</button>'
        page.goto(f"http://localhost:{listener.port}/")
        with page.expect_response(action) as answered:
            page.get_by_role("button", name="Win").click()
        assert answered.value.status == 403, path
