"""Recognises tokens that other systems have issued, and that `import-tokens` takes along.

They have no checksum, so each text of such a form takes a query. Until a date, that is what their
clients need to go on; after it such a text is rejected without one.
"""

import re
import time
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256, sha512

# Django REST framework: 40 hexadecimal digits. fastapi-users: secrets.token_urlsafe().
_PLAIN = re.compile(r"[0-9a-f]{40}|[A-Za-z0-9_-]{43}", re.ASCII)
# django-rest-knox: 64 hexadecimal digits after a prefix that may be set. It stores SHA-512.
_KNOX = re.compile(r"[!-~]{0,10}[0-9a-f]{64}", re.ASCII)
# Laravel Sanctum: the id of the row, and the token. It stores SHA-256 of the latter.
_SANCTUM = re.compile(r"[0-9]{1,20}\|([A-Za-z0-9_]{40,128})", re.ASCII)


def digest(text: str) -> bytes | None:
    """What `import-tokens` has stored for such a token: 32 bytes. None for other forms."""
    if _PLAIN.fullmatch(text):
        return sha256(text.encode()).digest()
    if _KNOX.fullmatch(text):
        return of_sha512(sha512(text.encode()).digest())
    if match := _SANCTUM.fullmatch(text):
        return sha256(match[1].encode()).digest()
    return None


def of_sha512(stored: bytes) -> bytes:
    """The digest of a token of which its system has kept only SHA-512."""
    return sha256(stored).digest()


class ForeignTokens:
    """Those that are accepted, through the last day in UTC. None: none at all."""

    def __init__(self, until: date | None) -> None:
        self.ends_at = None if until is None else _end_of(until)
        self._ends_at = 0.0 if self.ends_at is None else self.ends_at.timestamp()

    def digest(self, text: str) -> bytes | None:
        """The digest to look up. None for other forms, and after the last day."""
        return digest(text) if time.time() < self._ends_at else None


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


NO_FOREIGN_TOKENS = ForeignTokens(None)
