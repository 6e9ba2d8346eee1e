"""Creates tokens, and recognises strings that cannot be tokens.

A token is a prefix that names its kind, 32 random bytes in base64url, and a checksum: CRC-32 of
what precedes, in base 62. The prefix lets secret scanners find a leak; the checksum lets garbage be
rejected without a query. Only the SHA-256 digest is ever stored: 256 random bits need no slow hash.
"""

import re
import secrets
import zlib
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from counterfoil import foreign_tokens


class TokenKind(StrEnum):
    """The prefixes. A token of one kind is never accepted as another."""

    ACCESS = "cfa_"
    REFRESH = "cfr_"
    API_KEY = "cfk_"
    MAIL = "cfm_"
    TRANSACTION = "cft_"
    CODE = "cfc_"
    DEVICE_CODE = "cfd_"
    CLIENT_SECRET = "cfs_"


class NewToken(NamedTuple):
    """The text is for the client, the digest for the database."""

    text: str
    digest: bytes


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Two digits at a time, which is faster: every request has its token checked.
_PAIRS = [first + second for first in _BASE62 for second in _BASE62]
_CHECKSUM_LENGTH = 6
# What comes along when a token is copied: line ends, spaces of all widths, the mark at the
# beginning of a text file.
_WIDE_SPACES = "".join(map(chr, range(0x2000, 0x200C)))
_WHITE_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u2060\u3000\ufeff" + _WIDE_SPACES
_FORMAT = re.compile(r"(cf[acdkmrst]_)[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}", re.ASCII)
# Also one that was cut off or misspelt.
_LOOKALIKE = re.compile(r"(cf[acdkmrst]_)[A-Za-z0-9_-]{16,}")


def create(kind: TokenKind) -> NewToken:
    """A new token of 256 random bits."""
    body = kind + secrets.token_urlsafe(32)
    text = body + _checksum(body)
    return NewToken(text, digest(text))


def kind_of(text: str) -> TokenKind | None:
    """The kind of a well-formed token. None for a string that was never issued."""
    match = _FORMAT.fullmatch(text)
    if match is None or _checksum(text[:-_CHECKSUM_LENGTH]) != text[-_CHECKSUM_LENGTH:]:
        return None
    return TokenKind(match[1])


class Recognised(NamedTuple):
    """A text that may be a token, and the digest by which its row is found."""

    kind: TokenKind
    digest: bytes


def recognise(text: str) -> Recognised | None:
    """The kind and the digest of a token, also of one that was imported. None for other texts."""
    kind = kind_of(text)
    if kind is not None:
        return Recognised(kind, digest(text))
    imported = foreign_tokens.digest(text)
    return None if imported is None else Recognised(TokenKind.ACCESS, imported)


def strip(text: str) -> str:
    """A token as it was issued, without the white space around it that was copied with it."""
    return text.strip(_WHITE_SPACE)


def digest(text: str) -> bytes:
    """What the database stores: 32 bytes, the same as `sha256('cfa_...')` in PostgreSQL."""
    return sha256(text.encode()).digest()


def redact(text: str) -> str:
    """The text for a log: everything that looks like a token is cut to its prefix."""
    return text if "cf" not in text else _LOOKALIKE.sub(r"\1[removed]", text)


def _checksum(body: str) -> str:
    rest, last = divmod(zlib.crc32(body.encode()), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]
