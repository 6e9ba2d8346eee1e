"""Second factors on the pages, in Chromium with an authenticator: the whole way, once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pyotp
import pytest
from playwright.sync_api import Locator, Page, expect

from authentication.factors import sealing
from harness.server import Server
from tests.support.browser import Browser, accessibility_violations, follow, open_browser
from tests.support.client import PASSWORD
from tests.support.virtual_authenticator import VirtualAuthenticator

EMAIL = "ada@example.org"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "pages.db"


@pytest.fixture
def server(database: Path) -> Iterator[Server]:
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_SECRET_KEYS": sealing.create_key(),
    }
    with Server.launch(f"sqlite:///{database}", environment=environment) as server:
        account = {"email": EMAIL, "password": PASSWORD, "name": "Ada"}
        assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
        yield server


@pytest.fixture
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def enter_password(page: Page) -> None:
    page.get_by_label("E-mail or username").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def press(page: Page, name: str) -> None:
    button(page, name).click()


def check(page: Page) -> None:
    """Nothing is wider than a phone, and axe finds nothing serious."""
    assert accessibility_violations(page) == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def check_what_is_kept(page: Page) -> None:
    """The codes are copied as they are, and on paper there is nothing beside them."""
    codes = page.get_by_label("Recovery codes").input_value()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == codes
    page.emulate_media(media="print")
    # innerText is what is seen. It has not what a field holds.
    seen = page.evaluate("document.body.innerText").split("\n")
    assert list(filter(None, seen)) == ["Your recovery codes", f"Counterfoil · {EMAIL}"]
    assert page.get_by_label("Recovery codes").is_visible()
    page.emulate_media(media="screen")


def test_factors_are_added_used_and_asked_for_once_more(
    browser: Browser, server: Server, database: Path
) -> None:
    page = browser.page
    page.set_viewport_size({"width": 390, "height": 800})
    VirtualAuthenticator(page)
    page.goto(f"http://localhost:{server.port}/sign-in?next=/account/factors")
    enter_password(page)

    follow(button(page, "Add a passkey"))
    check(page)
    page.get_by_label("What do you call this device?").fill("Ada's laptop")
    press(page, "Go on")
    assert len(page.get_by_label("Recovery codes").input_value().split()) == 10
    check(page)
    check_what_is_kept(page)
    page.get_by_role("link", name="I have kept them").click()

    follow(button(page, "Add an app"))
    page.get_by_text("I cannot scan it").click()
    check(page)
    totp = pyotp.TOTP(page.locator("p.mono").inner_text())
    page.get_by_label("Code", exact=True).fill(totp.now())
    follow(button(page, "Add it"))
    expect(page.get_by_text("It is added.")).to_be_visible()
    check(page)

    with closing(sqlite3.connect(database)) as file, file:
        file.execute("UPDATE sessions SET confirmed_at = '2001-01-01 00:00:00.000000'")
    follow(button(page, "Make new codes"))
    check(page)
    press(page, "Use a passkey")
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()

    press(page, "Sign out")
    press(page, "Sign in with a passkey")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    press(page, "Sign out")
    enter_password(page)
    page.get_by_text("Use a recovery code").click()
    check(page)
    press(page, "Use a passkey")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    # That of the page which asks once more is the only answer that is no success.
    assert [error for error in browser.errors if "403" not in error] == []
