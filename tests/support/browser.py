"""Drives a headless Chromium and records its requests and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Locator, Page, sync_playwright

from harness.programs import require_program
from harness.server import REPOSITORY

_AXE = REPOSITORY / "tests" / "support" / "axe-core" / "axe.min.js"

# The one without windows needs half as much processor time as the others.
_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Root cannot use the sandbox, and a test must not call Google's services.
_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Browser:
    """A page. `errors` are those of scripts, resources and the content security policy."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(error.message))
        self.page.on("console", self._on_message)

    def _on_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Run the system's Chromium with one page until the block ends."""
    program = require_program(*_PROGRAMS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        browser = Browser(chromium.new_page())
        browser.watch()
        yield browser
        chromium.close()


def follow(control: Locator) -> None:
    """Click a button or link, and wait until the page that it leads to has been loaded."""
    with control.page.expect_navigation():
        control.click()


def accessibility_violations(page: Page) -> list[str]:
    """What axe finds on a page that is serious or critical: the rule and the first element.

    The page must have been loaded, see `follow`: axe takes the one that is there.
    """
    page.evaluate(_AXE.read_text())
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in page.evaluate("axe.run()")["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
