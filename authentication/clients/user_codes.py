"""The codes that people read from one screen and type on another (RFC 8628, 6.1)."""

import secrets
from hashlib import sha256

# Without vowels, so that no code is a word, and without characters that look alike.
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8


def create() -> str:
    """A new code, as devices show it: "WDJB-MJHT"."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return f"{code[:4]}-{code[4:]}"


def digest(typed: str) -> bytes | None:
    """What the database stores of a code as it was typed. None for what cannot be one.

    Case, dashes and white space do not matter.
    """
    code = "".join(one for one in typed[:100].upper() if one.isascii() and one.isalnum())
    if len(code) != _LENGTH or not set(code) <= set(_ALPHABET):
        return None
    return sha256(code.encode()).digest()
