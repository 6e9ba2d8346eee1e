"""Pages of a list, and the opaque cursors that clients send to get the next page."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from authentication.errors import InvalidField
from database import keyset
from database.keyset import Position

T = TypeVar("T")
Row = TypeVar("Row", bound=Any)

_MAX_MOMENT_LENGTH = 40
_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next_cursor` is None on the last page."""

    items: Sequence[T]
    next_cursor: str | None


def cut(found: Sequence[tuple[Row, str]], limit: int) -> Page[Row]:
    """The page of these rows, which are up to `limit` and one more, each with its time as stored.

    The rows have an `id`.
    """
    page = found[:limit]
    last, moment = page[-1] if len(found) > limit else (None, None)
    next_cursor = None if last is None else encode(moment, last.id)
    return Page([row for row, _ in page], next_cursor)


def encode(*values: object) -> str:
    """A cursor from the values that identify the last item of a page."""
    text = json.dumps([str(value) for value in values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_id(cursor: str | None) -> int | None:
    """The id in a cursor. Raises InvalidField for an invalid cursor."""
    return None if cursor is None else _read_id(*_decode(cursor, 1))


def decode_text(cursor: str | None) -> str:
    """The text in a cursor, or an empty one. Raises InvalidField for an invalid cursor."""
    text = "" if cursor is None else _decode(cursor, 1)[0]
    # PostgreSQL raises an error for NUL.
    if not text.isprintable():
        raise _invalid()
    return text


def decode_position(cursor: str | None, *, id_is_uuid: bool) -> Position | None:
    """The position in a cursor. Raises InvalidField for an invalid cursor."""
    if cursor is None:
        return None
    moment, identifier = _decode(cursor, 2)
    try:
        parsed_id = UUID(identifier) if id_is_uuid else _read_id(identifier)
    except ValueError:
        raise _invalid() from None
    if len(moment) > _MAX_MOMENT_LENGTH or not keyset.is_moment(moment):
        raise _invalid()
    return Position(moment, parsed_id)


def _decode(cursor: str, length: int) -> list[str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        raise _invalid() from None
    if not isinstance(values, list) or len(values) != length:
        raise _invalid()
    # JSON can escape lone surrogates, which no database accepts as text.
    if not all(isinstance(value, str) and value.isascii() for value in values):
        raise _invalid()
    return values


def _read_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _MAX_ID):
        raise _invalid()
    return int(text)


def _invalid() -> InvalidField:
    return InvalidField("cursor", "This is not a cursor that this service issued.")
