"""Takes the pictures of the console in docs/images, of the people that `demo` invents."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Page

from harness.server import REPOSITORY, Server
from tests.support.browser import open_browser

IMAGES = REPOSITORY / "docs" / "images"
DESKTOP, PHONE = (1200, 800), (390, 780)


class Picture(NamedTuple):
    """A page as somebody sees it: after `path`, the button that is pressed there, if any.

    A path may name a user by a few letters, after `find:`.
    """

    name: str
    path: str
    press: str = ""
    scheme: str = "light"
    size: tuple[int, int] = DESKTOP


PICTURES = [
    Picture("sign-in", "/sign-in", size=(900, 560)),
    Picture("overview", "/?period=week"),
    Picture("overview-dark", "/?period=month", scheme="dark"),
    Picture("overview-phone", "/", size=PHONE),
    Picture("users", "/users"),
    Picture("nobody-found", "/users?q=nobody", size=(1200, 400)),
    Picture("user", "find:bjarne", size=(1200, 1180)),
    Picture("user-phone", "find:bjarne", scheme="dark", size=PHONE),
    Picture("sessions", "/sessions"),
    Picture("sessions-phone", "/sessions", size=PHONE),
    Picture("events", "/events", scheme="dark"),
    Picture("account", "/account"),
    Picture("password-asked", "find:bjarne", press="Disable", size=(1200, 520)),
    Picture("new-key", "/account/api-keys/new", press="Make the key", size=(1200, 520)),
    Picture("error", "/users/999999999", size=(1200, 460)),
]


class Demo(NamedTuple):
    """A database with life in it, and who may look at all of it."""

    url: str
    email: str
    password: str


def main() -> None:
    with invented() as demo, Server.launch(demo.url, environment=QUICK) as server:
        take(server, demo, IMAGES)


# Hashing a password properly takes longer than all the rest.
QUICK = {
    "COUNTERFOIL_BCRYPT_ROUNDS": "4",
    "COUNTERFOIL_LOGIN_THROTTLE": "off",
    "COUNTERFOIL_CONFIRMATION_SECONDS": "1",
}
# In the lists, this browser should look like one of the people's.
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@contextmanager
def invented() -> Iterator[Demo]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/demo.db"
        said = subprocess.run(
            [sys.executable, str(REPOSITORY / "api.py"), "demo"],
            env={**os.environ, **QUICK, "DATABASE_URL": url},
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        email, password = said.stdout.split()
        yield Demo(url, email, password)


def take(server: Server, demo: Demo, folder: Path) -> None:
    """Save all the pictures there."""
    folder.mkdir(parents=True, exist_ok=True)
    console = f"{server.url}/console"
    with open_browser() as browser:
        chromium = browser.page.context.browser
        assert chromium is not None
        with chromium.new_context(user_agent=AGENT) as context:
            sign_in(context.new_page(), console, demo)
            state = context.storage_state()
        for picture in PICTURES:
            options = options_of(picture)
            if picture.path != "/sign-in":
                options["storage_state"] = state
            with chromium.new_context(**options) as context:
                page = context.new_page()
                show(page, console, picture, demo)
                save(page, folder / f"console-{picture.name}.png")


def options_of(picture: Picture) -> dict[str, Any]:
    width, height = picture.size
    viewport = {"width": width, "height": height}
    return {"color_scheme": picture.scheme, "viewport": viewport, "user_agent": AGENT}


def sign_in(page: Page, console: str, demo: Demo) -> None:
    page.goto(f"{console}/sign-in")
    page.get_by_label("E-mail or username").fill(demo.email)
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def show(page: Page, console: str, picture: Picture, demo: Demo) -> None:
    if picture.path.startswith("find:"):
        page.goto(f"{console}/users?q={picture.path.removeprefix('find:')}")
        page.locator("#results a.main-line").first.click()
        page.get_by_role("heading", name="Live sessions").wait_for()
    else:
        page.goto(console + picture.path)
    if picture.press == "Make the key":
        make_key(page, demo)
    elif picture.press:
        page.get_by_role("button", name=picture.press).click()
        page.get_by_label("Password of").wait_for()


def make_key(page: Page, demo: Demo) -> None:
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_label("Password of").fill(demo.password)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="Nightly report").wait_for()


def save(page: Page, path: Path) -> None:
    """With 64 colours, which is all that such a page needs, where there is pngquant."""
    page.screenshot(path=path)
    if quantise := shutil.which("pngquant"):
        subprocess.run(
            [quantise, "--force", "--strip", "--output", str(path), "64", str(path)], check=True
        )


if __name__ == "__main__":
    main()
