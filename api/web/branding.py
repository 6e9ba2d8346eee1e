"""How pages show the application that people sign in to: its name, its logo and its colour."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from api.settings import Settings
from api.web import colours
from authentication.mail.servers import parse_sender

PATH = "/account/brand"

_DEFAULT_NAME = "Counterfoil"
_MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True)
class BrandFile:
    """What is served below PATH by its name."""

    name: str
    content: bytes
    media_type: str

    @property
    def address(self) -> str:
        """Its path, which changes with the content, so that browsers can keep the file."""
        return f"{PATH}/{self.name}?v={sha256(self.content).hexdigest()[:12]}"


@dataclass(frozen=True)
class Brand:
    """`logo` and `theme` are None where the service's own logo and colours are used."""

    name: str
    logo: BrandFile | None
    theme: BrandFile | None

    def find(self, name: str) -> BrandFile | None:
        """The file of that name."""
        files = (file for file in (self.logo, self.theme) if file is not None)
        return next((file for file in files if file.name == name), None)


def read(settings: Settings) -> Brand:
    """The brand that the settings describe. Raises OSError if the logo cannot be read."""
    logo, colour = settings.api.application_logo, settings.api.application_colour
    return Brand(
        name=name_of(settings) or _DEFAULT_NAME,
        logo=_read_logo(logo) if logo else None,
        theme=_make_theme(colour) if colour else None,
    )


def name_of(settings: Settings) -> str | None:
    """What the settings call the application, if they do."""
    return settings.api.application_name or _sender_of(settings)


def _sender_of(settings: Settings) -> str | None:
    """What mails call the application, so that both call it the same."""
    if not settings.mail.mail_from:
        return None
    sender = parse_sender(settings.mail.mail_from)
    return sender.display_name or sender.domain


def _read_logo(path: Path) -> BrandFile:
    suffix = path.suffix.lower()
    return BrandFile(f"logo{suffix}", path.read_bytes(), _MEDIA_TYPES[suffix])


def _make_theme(colour: str) -> BrandFile:
    return BrandFile("theme.css", colours.stylesheet(colour).encode(), "text/css")
