"""Reads the mails that a service has written to files, as people would."""

import email
import email.policy
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.administrator import Sql
from tests.support.waiting import until

SENDER = "Example <no-reply@example.org>"

_TOKEN = re.compile(r"cfm_[A-Za-z0-9_-]+")
_CODE = re.compile(r"^[A-Z0-9]{4}-[A-Z0-9]{4}$", re.MULTILINE)
_UNFINISHED = "SELECT id FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL"


@dataclass(frozen=True)
class Mail:
    """A parsed mail."""

    to: str
    subject: str
    text: str
    html: str

    @property
    def token(self) -> str:
        """That of the only link."""
        found: set[str] = set(_TOKEN.findall(self.text))
        assert found == set(_TOKEN.findall(self.html))
        (token,) = found
        return token

    @property
    def code(self) -> str:
        found = _CODE.search(self.text)
        assert found, self.text
        code: str = found[0]
        assert code in self.html
        return code


def parse(content: bytes) -> Mail:
    """One that can be read: never more than one recipient."""
    message: Any = email.message_from_bytes(content, policy=email.policy.default)
    (to,) = message["To"].addresses
    # The parser leaves bytes of UTF-8 in a header (RFC 6532) as they are.
    address = to.addr_spec.encode("ascii", "surrogateescape").decode()
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return Mail(address, message["Subject"], text.replace("\r\n", "\n"), html)


@dataclass
class Mailbox:
    """The files of all mails. `take` returns those that have come since the last time."""

    directory: Path
    sql: Sql
    taken: set[Path] = field(default_factory=set)

    @property
    def settings(self) -> dict[str, Any]:
        """Those of a service whose mails come here."""
        return {"mail_url": f"file:{self.directory}", "mail_from": SENDER}

    def take(self) -> list[Mail]:
        """Once nothing is waiting to be sent. In the order in which they came."""
        until(lambda: not self.sql(_UNFINISHED))
        new = [path for path in self.directory.glob("*.eml") if path not in self.taken]
        self.taken |= set(new)
        return [parse(path.read_bytes()) for path in sorted(new, key=_written_at)]

    def take_one(self, to: str = "ada@example.org") -> Mail:
        """The only mail to somebody. There may be others, to others."""
        (mail,) = [mail for mail in self.take() if mail.to == to]
        return mail


def _written_at(path: Path) -> int:
    return path.stat().st_mtime_ns
