"""Takes the screenshots of web pages in docs/images, with the data of the command `demo`."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from playwright.sync_api import Page

from harness.server import REPOSITORY, Server
from tests.support.browser import open_browser

IMAGES = REPOSITORY / "docs" / "images"
DESKTOP, PHONE = (1200, 800), (390, 780)


class Screenshot(NamedTuple):
    """A page at `path`, after the button named `press` is pressed on it, if any.

    The path "find:TEXT" is the page of the first user whom that search finds.
    """

    name: str
    path: str
    press: str = ""
    scheme: str = "light"
    locale: str = "en"
    size: tuple[int, int] = DESKTOP


CALENDAR = {
    "response_type": "code",
    "client_id": "calendar",
    "redirect_uri": "https://calendar.example.org/callback",
    "scope": "account",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}
CONSENT = f"/authorize?{urlencode(CALENDAR)}"
SCREENSHOTS = [
    Screenshot("console-sign-in", "/sign-in", size=(900, 560)),
    Screenshot("console-overview", "/console/?period=week"),
    Screenshot("console-overview-dark", "/console/?period=month", scheme="dark"),
    Screenshot("console-overview-phone", "/console/", size=PHONE),
    Screenshot("console-users", "/console/users"),
    Screenshot("console-nobody-found", "/console/users?q=nobody", size=(1200, 400)),
    Screenshot("console-user", "find:bjarne", size=(1200, 1180)),
    Screenshot("console-user-phone", "find:bjarne", scheme="dark", size=PHONE),
    Screenshot("console-new-user", "/console/new-user", size=(1200, 820)),
    Screenshot("console-roles", "/console/roles"),
    Screenshot("console-sessions", "/console/sessions"),
    Screenshot("console-sessions-phone", "/console/sessions", size=PHONE),
    Screenshot("console-events", "/console/events", scheme="dark"),
    Screenshot("console-account", "/account"),
    Screenshot("console-password-asked", "find:bjarne", press="Disable", size=(1200, 520)),
    Screenshot("console-new-key", "/account/api-keys/new", press="Make the key", size=(1200, 520)),
    Screenshot("console-error", "/console/users/999999999", size=(1200, 460)),
    Screenshot("pages-consent", CONSENT, size=(900, 520)),
    Screenshot("pages-account", "/account", scheme="dark", locale="de", size=PHONE),
]


class Demo(NamedTuple):
    """A database filled by the command `demo`, and the credentials of its administrator."""

    url: str
    email: str
    password: str


def main() -> None:
    with demo_database() as demo, Server.launch(demo.url, environment=QUICK) as server:
        take(server, demo, IMAGES)


# With the default cost, hashing a password would take longer than everything else.
QUICK = {
    "COUNTERFOIL_BCRYPT_ROUNDS": "4",
    "COUNTERFOIL_LOGIN_THROTTLE": "off",
    "COUNTERFOIL_FRESH_SECONDS": "1",
}
# In the lists of sessions, this browser should look like those of the demo's users.
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@contextmanager
def demo_database() -> Iterator[Demo]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/demo.db"
        email, password = run(folder, url, "demo").split()
        run(
            *(folder, url, "clients", "create", "Calendar", "--id", CALENDAR["client_id"]),
            *("--redirect-uri", CALENDAR["redirect_uri"], "--scope", CALENDAR["scope"]),
        )
        yield Demo(url, email, password)


def run(folder: str, url: str, *command: str) -> str:
    """Run a command of the service, and return what it prints."""
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "api.py"), *command],
        env={**os.environ, **QUICK, "DATABASE_URL": url},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def take(server: Server, demo: Demo, folder: Path) -> None:
    """Save all screenshots in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_browser() as browser:
        chromium = browser.page.context.browser
        assert chromium is not None
        with chromium.new_context(user_agent=AGENT) as context:
            sign_in(context.new_page(), server.url, demo)
            state = context.storage_state()
        for screenshot in SCREENSHOTS:
            options = options_of(screenshot)
            if screenshot.path != "/sign-in":
                options["storage_state"] = state
            with chromium.new_context(**options) as context:
                page = context.new_page()
                show(page, server.url, screenshot, demo)
                save(page, folder / f"{screenshot.name}.png")


def options_of(screenshot: Screenshot) -> dict[str, Any]:
    width, height = screenshot.size
    viewport = {"width": width, "height": height}
    return {
        "color_scheme": screenshot.scheme,
        "viewport": viewport,
        "locale": screenshot.locale,
        "user_agent": AGENT,
    }


def sign_in(page: Page, url: str, demo: Demo) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("E-mail or username").fill(demo.email)
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Sign out").wait_for()


def show(page: Page, url: str, screenshot: Screenshot, demo: Demo) -> None:
    if screenshot.path.startswith("find:"):
        page.goto(f"{url}/console/users?q={screenshot.path.removeprefix('find:')}")
        page.locator("#results a.main-line").first.click()
        page.get_by_role("heading", name="Live sessions").wait_for()
    else:
        page.goto(url + screenshot.path)
    if screenshot.press == "Make the key":
        make_key(page, demo)
    elif screenshot.press:
        page.get_by_role("button", name=screenshot.press).click()
        page.get_by_label("Password of").wait_for()


def make_key(page: Page, demo: Demo) -> None:
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_label("Password of").fill(demo.password)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="The new API key").wait_for()


def save(page: Page, path: Path) -> None:
    """Save a screenshot, reduced to 64 colours if pngquant is installed."""
    page.screenshot(path=path)
    if quantise := shutil.which("pngquant"):
        subprocess.run(
            [quantise, "--force", "--strip", "--output", str(path), "64", str(path)], check=True
        )


if __name__ == "__main__":
    main()
