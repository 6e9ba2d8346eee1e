"""Makes the mail that is sent: parts in plain text and HTML, from templates.

`{kind}.txt` and `{kind}.html` extend `layout.txt` and `layout.html`; the text has the subject. A
directory of one's own comes first. Texts are translated by `_`, see authentication/languages.py.
"""

import email.policy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Template

from authentication import languages
from authentication.mail import servers
from authentication.mail.settings import MailSettings

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail before it is rendered: which template, for whom, and what it says."""

    template: str
    address: str
    language: str
    says: dict[str, Any] = field(default_factory=dict)


class Envelope(NamedTuple):
    """A rendered mail, and what the mail server is told: headers alone could name several."""

    message: EmailMessage
    sender: str
    recipient: str


class Letters:
    """Renders letters with the templates and the sender of the settings."""

    def __init__(self, settings: MailSettings) -> None:
        self._sender = servers.parse_sender(settings.mail_from)
        own = [settings.mail_templates] if settings.mail_templates else []
        self._directories = (*own, _TEMPLATES)

    def render(self, letter: Letter) -> Envelope:
        """Raises ValueError for an address that no mail can be sent to."""
        templates = languages.templates(self._directories, letter.language)
        text = templates.get_template(f"{letter.template}.txt")
        html = templates.get_template(f"{letter.template}.html")
        says = {"application": self.application, "language": letter.language, **letter.says}
        recipient, subject = servers.parse_recipient(letter.address), _subject(text, says)
        message = self._assemble(
            recipient,
            subject=subject,
            text=text.render(says),
            html=html.render(says, subject=subject),
        )
        return Envelope(message, self._sender.addr_spec, recipient.addr_spec)

    @property
    def application(self) -> str:
        """What mails and pages call the application."""
        return self._sender.display_name or self._sender.domain

    def _assemble(self, to: Address, *, subject: str, text: str, html: str) -> EmailMessage:
        is_ascii = to.addr_spec.isascii()
        message = EmailMessage(policy=email.policy.SMTP if is_ascii else email.policy.SMTPUTF8)
        message["From"] = self._sender
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=self._sender.domain)
        # No holiday replies (RFC 3834, 5).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        return message


def _subject(template: Template, says: dict[str, Any]) -> str:
    """On one line, whatever the template has around it: a line break would begin a header."""
    block = template.blocks["subject"]
    return " ".join("".join(block(template.new_context(says))).split())
