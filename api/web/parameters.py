"""Reads the query parameters of search forms. An empty field counts as not sent."""

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from fastapi import Request

from database import limits

_LONGEST_TRAIL = 20
_is_cursor = re.compile("[A-Za-z0-9_-]{1,200}").fullmatch

E = TypeVar("E", bound=StrEnum)


def text(request: Request, name: str) -> str | None:
    """At most 200 characters. NUL, which PostgreSQL cannot store, is removed."""
    value = request.query_params.get(name, "").replace("\x00", "").strip()
    return value[: limits.MAX_LABEL_LENGTH] or None


def trail(request: Request) -> list[str]:
    """The cursors of the pages before this one, from the second page on; at most the last 20."""
    cursors = request.query_params.get("trail", "").split(",")
    return [cursor for cursor in cursors if _is_cursor(cursor)][-_LONGEST_TRAIL:]


def choice(request: Request, name: str, default: E) -> E:
    """A member of the default's enumeration, or the default itself for any other value."""
    try:
        return type(default)(request.query_params.get(name, ""))
    except ValueError:
        return default


def day(request: Request, name: str, *, after: int = 0) -> datetime | None:
    """Midnight UTC of a date such as 2026-11-21, `after` days later. None for any other text."""
    try:
        begins = date.fromisoformat(request.query_params.get(name, "")) + timedelta(days=after)
    except (ValueError, OverflowError):
        return None
    return datetime(begins.year, begins.month, begins.day, tzinfo=UTC)
