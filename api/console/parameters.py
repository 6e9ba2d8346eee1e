"""Reads what a search form has put into the address. An empty field is one that was left out."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from fastapi import Request

_LONGEST = 200

E = TypeVar("E", bound=StrEnum)


def text(request: Request, name: str) -> str | None:
    """A few words. What neither database could hold is dropped rather than refused."""
    value = request.query_params.get(name, "").replace("\x00", "").strip()
    return value[:_LONGEST] or None


def choice(request: Request, name: str, default: E) -> E:
    """One of the values, or the default for anything else."""
    try:
        return type(default)(request.query_params.get(name, ""))
    except ValueError:
        return default


def day(request: Request, name: str, *, after: int = 0) -> datetime | None:
    """Midnight UTC of a day in the address, or so many days after."""
    try:
        begins = date.fromisoformat(request.query_params.get(name, "")) + timedelta(days=after)
    except (ValueError, OverflowError):
        return None
    return datetime(begins.year, begins.month, begins.day, tzinfo=UTC)
