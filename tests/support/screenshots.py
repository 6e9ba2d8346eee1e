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

from tests.support.browser import open_browser
from tests.support.server import REPOSITORY, Server

IMAGES = REPOSITORY / "docs" / "images"
DESKTOP, PHONE = (1200, 800), (390, 780)


class Picture(NamedTuple):
    """A page as somebody sees it. A path may name a user by a few letters, after `find:`."""

    name: str
    path: str
    scheme: str = "light"
    size: tuple[int, int] = DESKTOP


PICTURES = [
    Picture("sign-in", "/sign-in", size=(900, 620)),
    Picture("overview", "/?span=week"),
    Picture("overview-dark", "/?span=week", scheme="dark"),
    Picture("users", "/users"),
    Picture("user", "find:bjarne"),
    Picture("user-phone", "find:bjarne", scheme="dark", size=PHONE),
    Picture("sessions", "/sessions"),
    Picture("sessions-phone", "/sessions", size=PHONE),
    Picture("events", "/events?event=login.failed", scheme="dark"),
    Picture("account", "/account"),
    Picture("nobody-found", "/users?q=nobody", size=(1200, 420)),
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
QUICK = {"COUNTERFOIL_BCRYPT_ROUNDS": "4", "COUNTERFOIL_LOGIN_THROTTLE": "off"}


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
    with open_browser() as browser:
        chromium = browser.page.context.browser
        assert chromium is not None
        for picture in PICTURES:
            scheme: Any = picture.scheme
            width, height = picture.size
            viewport: Any = {"width": width, "height": height}
            with chromium.new_context(color_scheme=scheme, viewport=viewport) as context:
                page = context.new_page()
                show(page, f"{server.url}/console", picture.path, demo)
                save(page, folder / f"console-{picture.name}.png")


def show(page: Page, console: str, path: str, demo: Demo) -> None:
    page.goto(f"{console}/sign-in")
    if path == "/sign-in":
        return
    page.get_by_label("E-mail or username").fill(demo.email)
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    if path.startswith("find:"):
        page.goto(f"{console}/users?q={path.removeprefix('find:')}")
        page.locator("#results a.main-line").first.click()
        page.get_by_role("heading", name="Live sessions").wait_for()
    else:
        page.goto(console + path)


def save(page: Page, path: Path) -> None:
    """With 64 colours, which is all that such a page needs, where there is pngquant."""
    page.screenshot(path=path)
    if quantise := shutil.which("pngquant"):
        subprocess.run(
            [quantise, "--force", "--strip", "--output", str(path), "64", str(path)], check=True
        )


if __name__ == "__main__":
    main()
