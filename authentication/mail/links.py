"""Makes the links and codes that a mail contains, and the transactions of those who ask for it.

A link holds a token of 256 random bits. A code is short enough to be typed, and works only together
with the transaction that the client got that asked for the mail; so it can be stored as a digest.
"""

import secrets
from hashlib import sha256
from hmac import compare_digest

from authentication.mail.kinds import LinkKind
from authentication.mail.settings import PLACEHOLDER, MailSettings

CODE_SECONDS = 600
CODE_ATTEMPTS = 5

# 20 characters that are neither vowels, which make words, nor look like another of them.
_ALPHABET = "BCDFGHJKMPQRTVWX3479"
_CODE_LENGTH = 8

_PATHS = {
    LinkKind.RESET: "reset-password",
    LinkKind.VERIFY: "confirm-email",
    LinkKind.CHANGE: "confirm-email",
    LinkKind.REGISTER: "confirm-email",
    LinkKind.REVERT: "revert-email",
}


class Links:
    """Where links lead: never to a host that a request has named."""

    def __init__(self, settings: MailSettings, public_url: str) -> None:
        self._settings = settings
        self._public_url = public_url.rstrip("/")

    def to(self, kind: LinkKind, token: str) -> str:
        """The link with a token. A token has no character that a URL would have to escape."""
        own = f"{self._public_url}/account/{_PATHS[kind]}?token={PLACEHOLDER}"
        return (self._settings.link(kind) or own).replace(PLACEHOLDER, token)

    @property
    def to_forgotten_password(self) -> str:
        """Our own page that asks for an address."""
        return f"{self._public_url}/account/forgot-password"


def create_code() -> str:
    """A code, as a mail shows it: two groups of four."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def code_digest(code: str, transaction_digest: bytes) -> bytes:
    """What is stored of a code, in whatever case and with whatever dashes it is typed."""
    typed = "".join(character for character in code.upper() if character.isalnum())
    return sha256(transaction_digest + typed.encode()).digest()


def is_code(code: str, stored: bytes | None, transaction_digest: bytes) -> bool:
    """Whether this is the code of which that digest is stored."""
    return stored is not None and compare_digest(code_digest(code, transaction_digest), stored)
