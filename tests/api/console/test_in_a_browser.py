"""The console in a real browser: by keyboard, without scripts, and checked for accessibility."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from harness.server import Server
from tests.support.browser import Browser, accessibility_violations, open_browser
from tests.support.client import PASSWORD
from tests.support.console import address

PAGES = [
    "/",
    "/roles",
    "/new-user",
    "/users",
    "/users/2",
    "/users/3",
    "/users/3/api-keys/new",
    "/sessions",
    "/events",
    "/account",
    "/account/password",
]
SERVICE_ACCOUNT = (
    "INSERT INTO users (email, name, hashed_password) VALUES ('key@example.org', 'Key', '!')"
)
EVIL = "<script>document.title='broken in'</script><img src=x onerror=\"document.title='in'\">"


@pytest.fixture(scope="module")
def database(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("console") / "console.db"))


@pytest.fixture(scope="module")
def server(database: Path) -> Iterator[Server]:
    """With an administrator, a user whose surname is a script, and a service account."""
    # The tests sign in many times from one address.
    environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4", "COUNTERFOIL_LOGIN_THROTTLE": "off"}
    with Server.launch(f"sqlite:///{database}", environment=environment) as server:
        for name, more in (("root", {}), ("ada", {"surname": EVIL})):
            account = {"email": f"{name}@example.org", "password": PASSWORD, "name": name, **more}
            assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
        with closing(sqlite3.connect(database)) as file, file:
            file.execute("INSERT INTO user_roles SELECT 1, id FROM roles WHERE name = 'admin'")
            file.execute(SERVICE_ACCOUNT)
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def log_in(server: Server, client_id: str, user_agent: str = "okhttp/4.12") -> str:
    """Ada logs in with an app of hers. Returns the access token."""
    body = {"email": "ada@example.org", "password": PASSWORD, "client_id": client_id}
    answer = httpx2.post(f"{server.url}/login", json=body, headers={"User-Agent": user_agent})
    return str(answer.json()["access_token"])


def status(server: Server, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.get(f"{server.url}/users/me", headers=headers).status_code


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    chromium = browser.page.context.browser
    assert chromium is not None
    return chromium.new_context(**options)


def sign_in(page: Page, server: Server, email: str = "root@example.org") -> None:
    page.goto(f"{server.url}/console/")
    page.get_by_label("E-mail or username").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_an_administrator_finds_a_user_and_ends_a_session_with_the_keyboard_alone(
    browser: Browser, server: Server
) -> None:
    phone, laptop = log_in(server, "phone"), log_in(server, "laptop")
    with new_context(browser) as context:
        page = context.new_page()
        watched = Browser(page)
        watched.watch()
        page.goto(f"{server.url}/console")
        expect(page.get_by_label("E-mail or username")).to_be_focused()
        page.keyboard.type("root@example.org")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()

        tab_to(page, "Users")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Users")).to_be_visible()
        tab_to(page, "Name, e-mail or username")
        page.keyboard.type("ad")
        # The results change while the user types, and the focus stays in the field.
        expect(page.get_by_role("link", name="root@example.org")).to_have_count(0)
        expect(page.get_by_label("Name, e-mail or username")).to_be_focused()
        tab_to(page, "ada@example.org")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="ada@example.org")).to_be_visible()
        assert (status(server, phone), status(server, laptop)) == (200, 200)
        tab_to(page, "End phone of ada@example.org")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("1 session has ended.")
        assert (status(server, phone), status(server, laptop)) == (401, 200)
        assert not watched.errors
        assert all(url.startswith(f"{server.url}/") for url in watched.requests)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if name in page.evaluate(NAME_OF_FOCUS):
            return
    raise AssertionError(f"the keyboard does not reach {name!r}")


NAME_OF_FOCUS = """() => {
  const focus = document.activeElement;
  const label = focus.labels && focus.labels.length ? focus.labels[0].textContent : "";
  return focus.getAttribute("aria-label") || label || focus.textContent;
}"""


def test_everything_works_without_scripts(browser: Browser, server: Server) -> None:
    phone, tablet = log_in(server, "phone"), log_in(server, "tablet")
    with new_context(browser, java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, server)
        page.get_by_role("link", name="Sessions", exact=True).click()
        page.get_by_label("Client begins with").fill("tab")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_text("phone", exact=True)).to_have_count(0)
        page.get_by_role("checkbox", name="Select tablet").first.check()
        page.get_by_role("button", name="End selected").click()
        expect(page.get_by_role("status")).to_contain_text("1 session has ended.")
        assert (status(server, phone), status(server, tablet)) == (200, 401)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_one_checkbox_selects_all_sessions(browser: Browser, server: Server) -> None:
    tokens = [log_in(server, f"kiosk {number}") for number in range(3)]
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, server)
        page.goto(f"{server.url}/console/sessions")
        page.get_by_label("Client begins with").fill("kiosk")
        expect(page.get_by_role("row")).to_have_count(4)
        button = page.get_by_role("button", name="End selected")
        page.get_by_label("Select all sessions on this page").check()
        expect(button).to_have_text("End selected (3)")
        page.get_by_label("Select kiosk 1").uncheck()
        expect(button).to_have_text("End selected (2)")
        page.get_by_label("Select kiosk 1").check()
        # On a phone the sessions below the first do not fit the screen.
        page.set_viewport_size({"width": 390, "height": 780})
        expect(button).to_be_in_viewport()
        button.click()
        expect(page.get_by_role("status")).to_contain_text("3 sessions have ended.")
    assert [status(server, token) for token in tokens] == [401] * 3


def test_the_copy_button_copies_the_key(browser: Browser, server: Server) -> None:
    with new_context(browser, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        sign_in(page, server, "ada@example.org")
        page.goto(f"{server.url}/account/api-keys/new")
        page.get_by_label("Name").fill("Robot")
        page.get_by_role("button", name="Make the key").click()
        key = page.get_by_label("API key").input_value()
        assert status(server, key) == 200
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == key


def test_a_script_in_a_name_or_an_agent_is_only_text(browser: Browser, server: Server) -> None:
    log_in(server, EVIL, user_agent=EVIL)
    with new_context(browser) as context:
        page = context.new_page()
        watched = Browser(page)
        watched.watch()
        sign_in(page, server)
        for path in PAGES:
            page.goto(server.url + address(path))
            assert "Counterfoil" in page.title()
        page.goto(f"{server.url}/console/users/2")
        expect(page.get_by_text(EVIL).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
        assert not watched.errors


def test_the_policy_stops_a_script_that_got_into_a_page(browser: Browser, server: Server) -> None:
    """A script that is injected into a page, as if escaping had failed, does not run."""
    with new_context(browser) as context:
        page = context.new_page()
        watched = Browser(page)
        watched.watch()
        page.goto(f"{server.url}/sign-in")
        page.evaluate("html => document.body.innerHTML += html", EVIL)
        page.evaluate("""() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'broken in'";
          document.body.append(script);
        }""")
        expect(page).to_have_title("Sign in · Counterfoil")
        assert any("Content Security Policy" in error for error in watched.errors)


def test_a_form_on_another_site_is_rejected(browser: Browser, server: Server) -> None:
    """ "localhost" is another site than 127.0.0.1, on the same server."""
    phone = log_in(server, "phone")
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, server)
        elsewhere = server.url.replace("127.0.0.1", "localhost")
        page.route(
            f"{elsewhere}/trap",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f'<form method="post" action="{server.url}/console/users/2/sessions/end-all">'
                "<button>Win</button></form>",
            ),
        )
        page.goto(f"{elsewhere}/trap")
        page.get_by_role("button", name="Win").click()
        expect(page.get_by_role("heading", name="This form was rejected")).to_be_visible()
    assert status(server, phone) == 200


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_accessible_and_fits_the_screen(
    browser: Browser, server: Server, scheme: Any, width: int
) -> None:
    """axe finds nothing serious on any page, and no page is wider than the screen."""
    log_in(server, "Ada's telephone with quite a long name for a small screen", user_agent=EVIL)
    with new_context(
        browser, color_scheme=scheme, viewport={"width": width, "height": 800}
    ) as context:
        page = context.new_page()
        page.goto(f"{server.url}/sign-in")
        found = {"/sign-in": accessibility_violations(page)}
        sign_in(page, server)
        for path in [*PAGES, "/users?q=nobody", "/nowhere"]:
            page.goto(server.url + address(path))
            found[path] = accessibility_violations(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert not any(found.values()), found
