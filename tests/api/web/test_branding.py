"""The name, the logo and the colour of the application on pages."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from api.settings import ApiSettings
from api.web import colours
from tests.support.console import ConsoleClient
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

MakeConsole = Callable[..., ConsoleClient]

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>'
COLOURS = ["#ffff00", "#000000", "#ffffff", "#808080", "#2a6354", "#ff00ff", "#0000ff", "#7fff00"]


def test_pages_carry_the_name_the_logo_and_the_colour_of_the_application(
    make_console: MakeConsole, tmp_path: Path
) -> None:
    (tmp_path / "acme.SVG").write_text(LOGO)
    console = make_console(
        application_name="Acme <b>",
        application_logo=tmp_path / "acme.SVG",
        application_colour="#FFFF00",
    )
    page = console.open("/sign-in")
    assert "<title>Sign in · Acme &lt;b&gt;</title>" in page.text
    assert "Counterfoil" not in page.text
    [logo] = set(re.findall(r'(?:src|rel="icon" href)="(/account/brand/logo[^"]+)"', page.text))
    [theme] = re.findall(r'href="(/account/brand/theme[^"]+)"', page.text)
    shown = console.http.get(logo)
    assert (shown.text, shown.headers["content-type"]) == (LOGO, "image/svg+xml")
    # Whoever opens the file alone runs nothing.
    assert "sandbox" in shown.headers["content-security-policy"]
    assert "--accent: #6b6b00" in console.http.get(theme).text
    assert "immutable" in console.http.get(theme).headers["cache-control"]


def test_without_settings_pages_carry_our_own_and_there_is_no_such_file(
    console: ConsoleClient,
) -> None:
    assert "Counterfoil</title>" in console.open("/sign-in").text
    for name in ("logo.svg", "theme.css", "x", "%2e%2e%2fsettings.py"):
        assert console.http.get(f"/account/brand/{name}").status_code == 404


def test_pages_call_the_application_what_mails_call_it(
    make_console: MakeConsole, mailbox: Mailbox
) -> None:
    console = make_console(**mailbox.settings)
    assert "Example</title>" in console.open("/sign-in").text


@pytest.mark.parametrize("colour", COLOURS)
def test_text_in_any_colour_can_be_read_on_light_and_on_dark_pages(colour: str) -> None:
    light, dark = re.findall(
        "--accent: (#.{6}); --accent-ink: (#.{6}); --accent-wash: (#.{6})",
        colours.stylesheet(colour),
    )
    grounds = {light: ("#ffffff", "#f6f6f2"), dark: ("#121614", "#1a1f1c")}
    for (accent, ink, wash), surfaces in grounds.items():
        for ground in (ink, wash, *surfaces):
            contrast = colours.contrast(colours.parse(accent), colours.parse(ground))
            assert contrast >= 4.5, (accent, ground)


def test_a_colour_that_can_be_read_stays_what_it_is() -> None:
    assert "--accent: #2a6354" in colours.stylesheet("#2a6354")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("application_colour", "red", "must be like #2a6354"),
        ("application_colour", "#2a6354;}", "must be like #2a6354"),
        ("application_logo", "/nowhere.svg", "must be a file"),
        ("application_logo", __file__, "must be a file .svg, .png or .webp"),
        ("application_name", "a\nb", "control characters"),
        ("application_name", "x" * 61, "at most 60"),
    ],
)
def test_what_cannot_be_shown_is_rejected_at_the_start(setting: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ApiSettings(**{setting: value})  # type: ignore[arg-type]
