"""Encrypts what must be readable again, with keys that are not in the database.

AES-256-GCM with a random nonce. What is sealed is bound to its context, such as the user it belongs
to: a row that somebody copies to another user does not open.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
# For whatever may replace this format.
_VERSION = b"\x01"


class CannotOpen(Exception):
    """It was sealed with another key, or for another context, or has been changed."""


def create_key() -> str:
    """A new key, as the settings have it."""
    return urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_key(text: str) -> bytes:
    """A key of the settings. Raises ValueError, whose message does not repeat it."""
    try:
        key = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise ValueError("is not a key that `python api.py secret-key` makes") from None
    if len(key) != KEY_BYTES:
        raise ValueError("is not a key that `python api.py secret-key` makes")
    return key


class Sealer:
    """The first key seals, all of them open. Without keys nothing can be sealed."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [_cipher(key) for key in keys]

    @classmethod
    def of(cls, keys: Sequence[SecretStr]) -> Self:
        """With the keys of the settings."""
        return cls([read_key(key.get_secret_value()) for key in keys])

    @property
    def is_on(self) -> bool:
        """Whether there is a key."""
        return bool(self._ciphers)

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """29 bytes longer than what is sealed."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._ciphers[0].encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Raises CannotOpen."""
        for cipher in self._ciphers:
            if (plain := _open(cipher, sealed, context)) is not None:
                return plain
        raise CannotOpen

    def is_by_first(self, sealed: bytes, *, context: str) -> bool:
        """Whether the first key has sealed it, so that the others are not needed for it."""
        return self.is_on and _open(self._ciphers[0], sealed, context) is not None


def _cipher(key: bytes) -> "AESGCM":
    # Imported only where there are keys: without keys and passkeys, a worker has 8 MB less.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _open(cipher: "AESGCM", sealed: bytes, context: str) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    if not sealed.startswith(_VERSION):
        return None
    nonce, encrypted = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return cipher.decrypt(nonce, encrypted, context.encode())
    except (InvalidTag, ValueError):
        # A ValueError if the row was cut off.
        return None
