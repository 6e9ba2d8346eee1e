"""How mails are sent, where their links lead, and how many there may be."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from authentication.mail.kinds import NOTICES, LinkKind, MailKind
from authentication.mail.servers import FileTarget, SmtpServer, parse_sender, parse_url
from authentication.settings import DAY
from database.settings import LayerSettings

PLACEHOLDER = "{token}"

_LINKS = ("link_reset", "link_verify", "link_change", "link_register", "link_revert")


class MailSettings(LayerSettings):
    """Without `mail_url` there is no mail: none of the endpoints below exists."""

    mail_url: SecretStr | None = None
    """`smtps://user:password@host`, `smtp+starttls://`, `smtp+plain://`, or `file:DIRECTORY`.

    `?cafile=PATH` names the certificates to trust in place of the system's.
    """

    mail_from: str = ""
    """The sender, such as `Example <no-reply@example.org>`, by the name of your application."""

    mail_templates: Path | None = None
    """A directory with templates that take the place of those with the same names."""

    mail_notices: Annotated[tuple[MailKind, ...], NoDecode] = NOTICES
    """Which notices users get, separated by commas; empty for none."""

    link_reset: str = ""
    """Where the link to set a new password leads, with `{token}` in it. Default: our own page."""

    link_verify: str = ""
    """The same for the link that verifies an address."""

    link_change: str = ""
    """The same for the link that confirms a new address."""

    link_register: str = ""
    """The same for the link that confirms a registration."""

    link_revert: str = ""
    """The same for the link that takes a change of the address back."""

    reset_link_seconds: Annotated[int, Field(ge=60, le=DAY)] = 1800
    """How long the link to set a new password works."""

    verify_link_seconds: Annotated[int, Field(ge=60, le=7 * DAY)] = DAY
    """How long the links work that verify an address, or confirm a new one or a registration."""

    revert_link_seconds: Annotated[int, Field(ge=60, le=30 * DAY)] = 7 * DAY
    """How long a change of the address can be taken back by the link sent to the old one."""

    reset_ends_api_keys: bool = True
    """Whether setting a new password by a mail, or taking a change back, revokes API keys."""

    require_verified_email: bool = False
    """Whether a login is rejected until the address is verified, after the right password only."""

    mails_per_recipient: Annotated[int, Field(ge=1)] = 3
    """Mails that may be asked for in the window below for one address, by all clients together."""

    mails_per_recipient_per_day: Annotated[int, Field(ge=1)] = 10
    """The same for a day."""

    mail_requests_per_address: Annotated[int, Field(ge=1)] = 20
    """Mails that one IP address (IPv6: one /64) may ask for in the window below."""

    mail_window_seconds: Annotated[int, Field(ge=1, le=DAY)] = 900
    """The period in which these are counted."""

    mail_misses_per_minute: Annotated[int, Field(ge=1)] = 120
    """Unknown links and wrong codes that one network may send to a worker."""

    notices_per_day: Annotated[int, Field(ge=1)] = 20
    """Notices of each kind that one user gets in a day. A change of the address is always told."""

    mail_connections: Annotated[int, Field(ge=1, le=32)] = 4
    """Mails that a worker sends at once, each on its own connection."""

    mail_timeout_seconds: Annotated[float, Field(gt=0, le=20)] = 10.0
    """How long a mail server may take to answer each command."""

    @field_validator("mail_notices", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("mail_notices")
    @classmethod
    def _reject_others(cls, value: tuple[MailKind, ...]) -> tuple[MailKind, ...]:
        for kind in value:
            if kind not in NOTICES:
                raise ValueError(f"there is no such notice; there are {', '.join(NOTICES)}")
        return value

    @field_validator(*_LINKS)
    @classmethod
    def _reject_without_token(cls, value: str) -> str:
        if value and (PLACEHOLDER not in value or "://" not in value):
            raise ValueError(f"must be a URL with {PLACEHOLDER} in it")
        return value

    @field_validator("mail_url")
    @classmethod
    def _reject_other_servers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_url(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _reject_incomplete(self) -> Self:
        if self.mail_from:
            parse_sender(self.mail_from)
        elif self.mail_url is not None:
            raise ValueError("MAIL_URL needs a sender: set MAIL_FROM as well")
        if self.require_verified_email and self.mail_url is None:
            raise ValueError("REQUIRE_VERIFIED_EMAIL needs mail: set MAIL_URL as well")
        return self

    @property
    def is_on(self) -> bool:
        """Whether there is mail at all."""
        return self.mail_url is not None

    @property
    def server(self) -> SmtpServer | FileTarget:
        """Where mails go. Only if there is mail."""
        if self.mail_url is None:
            raise ValueError("there is no mail")
        return parse_url(self.mail_url.get_secret_value())

    def link(self, kind: LinkKind) -> str:
        """The template of a link, empty for that of our own page."""
        value: str = getattr(self, f"link_{kind}")
        return value

    def lifetime_seconds(self, kind: LinkKind) -> int:
        """How long a link works."""
        match kind:
            case LinkKind.RESET:
                return self.reset_link_seconds
            case LinkKind.REVERT:
                return self.revert_link_seconds
        return self.verify_link_seconds
