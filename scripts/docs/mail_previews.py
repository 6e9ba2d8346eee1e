"""Takes pictures of each mail for docs/images, as a mail program shows them."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal

from authentication.mail.kinds import MailKind
from authentication.mail.sending.letters import Letter, Letters
from authentication.mail.settings import MailSettings
from harness.server import REPOSITORY
from tests.support.browser import open_browser

IMAGES = REPOSITORY / "docs" / "images"
SAYS: dict[str, Any] = {
    "link": "https://id.example.com/account/reset-password?token=cfm_4wDqZ0i0nDhkP0xLZ3yBvS6tQm2",
    "code": "BCDF-GH34",
    "code_minutes": 10,
    "minutes": 30,
    "hours": 168,
    "address": "countess@example.org",
    "name": "Nightly report",
    "ends": "2026-12-03",
    "ip": "192.0.2.1",
    "at": "2026-11-26 09:30 UTC",
}
# The name of the picture, the template, the language, the colours, and the width.
PREVIEWS: list[tuple[str, str, str, Literal["light", "dark"], int]] = [
    *((f"mail-{kind.replace('_', '-')}", kind, "en", "light", 600) for kind in MailKind),
    ("mail-address-taken", "address_taken", "en", "light", 600),
    ("mail-reset-german-dark-phone", "reset", "de", "dark", 390),
]


def main(folder: Path = IMAGES) -> None:
    letters = Letters(MailSettings(mail_from="Example <no-reply@example.org>"))
    with open_browser() as browser, tempfile.TemporaryDirectory() as temporary:
        for name, template, language, scheme, width in PREVIEWS:
            letter = Letter(template, "ada@example.org", language, SAYS)
            html: Any = letters.render(letter).message.get_body(("html",))
            file = Path(temporary) / "mail.html"
            file.write_text(html.get_content())
            browser.page.set_viewport_size({"width": width, "height": 400})
            browser.page.emulate_media(color_scheme=scheme)
            browser.page.goto(file.as_uri())
            path = folder / f"{name}.png"
            browser.page.screenshot(path=path, full_page=True)
            if quantise := shutil.which("pngquant"):
                command = [quantise, "--force", "--strip", "--output", str(path), "64", str(path)]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
