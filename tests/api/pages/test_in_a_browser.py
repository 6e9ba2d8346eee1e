"""The pages in a real browser, without scripts, and checked for accessibility."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from playwright.sync_api import Page, expect

from harness.processes import free_port
from harness.server import Server
from tests.support.administrator import Sql, run_sql
from tests.support.browser import Browser, accessibility_violations, follow, open_browser
from tests.support.client import PASSWORD, Client, connected
from tests.support.mailbox import SENDER, Mail, Mailbox
from tests.support.oauth import CALLBACK, add_client, challenge_of

NEW = "an entirely new passphrase"


@pytest.fixture(scope="module")
def folder(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    shutil.copy(sqlite_template, folder / "pages.db")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    port = free_port()
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_LOGIN_THROTTLE": "off",
        "COUNTERFOIL_MAIL_URL": f"file:{folder}/mail",
        "COUNTERFOIL_MAIL_FROM": SENDER,
        "COUNTERFOIL_REGISTRATION": "confirm",
        "COUNTERFOIL_ISSUER": f"http://127.0.0.1:{port}",
        "COUNTERFOIL_APPLICATION_COLOUR": "#ffcc00",
    }
    url = f"sqlite:///{folder}/pages.db"
    with Server.launch(url, environment=environment, port=port) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def sql(folder: Path) -> Sql:
    return lambda statement: run_sql(f"sqlite:///{folder}/pages.db", statement)


@pytest.fixture
def mailbox(folder: Path, sql: Sql) -> Mailbox:
    box = Mailbox(folder / "mail", sql)
    box.take()
    return box


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with connected(server.url) as client:
        yield client


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Without scripts, as nothing on these pages needs them."""
    chromium = browser.page.context.browser
    assert chromium is not None
    with chromium.new_context(java_script_enabled=False) as context:
        yield context.new_page()


def link_in(mail: Mail) -> str:
    return next(line for line in mail.text.splitlines() if line.startswith("http"))


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def test_the_whole_way_of_an_account_works_without_scripts(
    page: Page, server: Server, client: Client, mailbox: Mailbox
) -> None:
    assert client.register("ada@example.org").status_code == 202
    page.goto(link_in(mailbox.take_one()))
    press(page, "Begin the account")
    expect(page.get_by_role("heading", name="Your account has begun")).to_be_visible()
    assert "cfm_" not in page.url

    page.goto(f"{server.url}/sign-in")
    page.get_by_role("link", name="Forgotten your password?").click()
    page.get_by_label("E-mail address").fill("ada@example.org")
    press(page, "Send the mail")
    link = link_in(mailbox.take_one())
    for _ in range(5):
        page.goto(link)
    page.get_by_label("New password").fill(NEW)
    page.get_by_label("The same once more").fill(NEW)
    press(page, "Set a new password")
    expect(page.get_by_role("heading", name="Your new password is set")).to_be_visible()
    page.goto(link)
    expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    mailbox.take()

    tokens = client.log_in(password=NEW)
    body = {"email": "new@example.org"}
    changed = httpx2.patch(f"{server.url}/users/me", json=body, headers=tokens.headers)
    assert changed.json()["pending_email"] == "new@example.org"
    page.goto(link_in(mailbox.take_one("new@example.org")))
    press(page, "Use this address")
    page.goto(link_in(mailbox.take_one()))
    press(page, "Take the change back")
    expect(page.get_by_role("heading", name="Your address is back")).to_be_visible()
    assert client.me(tokens).status_code == 401


EVERY_PAGE = ("/account/profile", "/account/email", "/account/password", "/account/nowhere")
SOME_PAGES = ("/account", "/account/api-keys/new", "/device")


@pytest.mark.parametrize(
    ("scheme", "language", "width", "more"),
    [("light", "en", 1200, EVERY_PAGE), ("dark", "de", 390, ())],
)
def test_pages_are_accessible_and_fit_the_screen(
    browser: Browser,
    server: Server,
    client: Client,
    mailbox: Mailbox,
    sql: Sql,
    scheme: str,
    language: str,
    width: int,
    more: tuple[str, ...],
) -> None:
    email = f"{scheme}-{language}@example.org"
    client.register(email)
    confirm = link_in(mailbox.take_one(email))
    application = f"{scheme}-application-with-quite-a-long-name-without-a-space-in-it"
    add_client(sql, "sqlite", application, name=application)
    chromium = browser.page.context.browser
    assert chromium is not None
    options: dict[str, Any] = {
        "color_scheme": scheme,
        "locale": language,
        "viewport": {"width": width, "height": 780},
        # axe is a script, which the pages themselves do not allow.
        "bypass_csp": True,
    }
    with chromium.new_context(**options) as context:
        page = context.new_page()
        page.goto(f"{server.url}/account/forgot-password")
        check(page)
        page.locator("input[name=email]").fill(email)
        follow(page.locator("button"))
        check(page)
        page.goto(confirm)
        check(page)
        follow(page.locator("button"))
        check(page)
        page.goto(confirm)
        check(page)
        assert page.locator("html").get_attribute("lang") == language
        page.goto(f"{server.url}/account/register")
        check(page)
        page.goto(f"{server.url}/sign-in")
        sign_in(page, email, "wrong")
        check(page)
        sign_in(page, email, PASSWORD)
        assert page.url == f"{server.url}/account"
        for path in SOME_PAGES + more:
            page.goto(server.url + path)
            check(page)
        page.goto(f"{server.url}/authorize?{urlencode(request_of(application))}")
        check(page)


def request_of(application: str) -> dict[str, str]:
    """The parameters with which an application asks for access."""
    return {
        "response_type": "code",
        "client_id": application,
        "redirect_uri": CALLBACK,
        "code_challenge": challenge_of("v" * 43),
        "code_challenge_method": "S256",
    }


def sign_in(page: Page, email: str, password: str) -> None:
    page.locator("#username").fill(email)
    page.locator("#password").fill(password)
    follow(page.locator("button.primary"))


def check(page: Page) -> None:
    """axe finds nothing serious, and the page is not wider than the screen."""
    assert accessibility_violations(page) == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def test_the_content_security_policy_blocks_nothing_that_a_page_needs(
    browser: Browser, server: Server
) -> None:
    chromium = browser.page.context.browser
    assert chromium is not None
    with chromium.new_context() as context:
        watched = Browser(context.new_page())
        watched.watch()
        watched.page.goto(f"{server.url}/account/forgot-password")
        colour = "getComputedStyle(document.querySelector('button')).backgroundColor"
        assert watched.page.evaluate(colour) == "rgb(128, 102, 0)"
        assert not watched.errors
        assert all(url.startswith((f"{server.url}/", "data:")) for url in watched.requests)
