"""Reads rows to be imported, from CSV or JSON, and the values in them."""

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from database import limits
from database.text import is_comparable

BATCH = 500
_TRUE = {"true", "t", "yes", "y", "on", "1"}
_FALSE = {"false", "f", "no", "n", "off", "0"}


class UnreadableFile(Exception):
    """The message is one line for an operator, about the whole file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `number` is its line, or which one of the list in a JSON array. It begins at 1."""

    number: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is in the way of importing a row. It never quotes a value, which may be a password."""

    number: int
    column: str
    text: str


@dataclass(slots=True)
class Reader:
    """Reads the values of one row, and collects what is wrong with them."""

    row: Row
    problems: list[Problem] = field(default_factory=list)

    def complain(self, column: str, text: str) -> None:
        """Note what is in the way."""
        self.problems.append(Problem(self.row.number, column, text))

    def text(self, column: str, *, most: int) -> str | None:
        """Without white space around it. None if it is empty."""
        value = self.row.values.get(column)
        if value is None:
            return None
        if not isinstance(value, str):
            self.complain(column, "this is not a text")
            return None
        stripped = value.strip()
        if not is_comparable(stripped):
            self.complain(column, "it contains a character that no database stores")
        elif len(stripped) > most:
            self.complain(column, f"it is longer than {most:,} characters")
        return stripped or None

    def number(self, column: str) -> int | None:
        """The id of a user."""
        value = self.row.values.get(column)
        if value is None or value == "":
            return None
        text = str(value).strip()
        if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) <= 10):
            self.complain(column, "this is not a number")
            return None
        if not 1 <= int(text) <= limits.MAX_ID:
            self.complain(column, f"it is not between 1 and {limits.MAX_ID}")
            return None
        return int(text)

    def switch(self, column: str, *, default: bool) -> bool:
        """Whether something is so."""
        value = self.row.values.get(column)
        text = "" if value is None else str(value).strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if text:
            self.complain(column, "this is neither true nor false")
        return default

    def moment(self, column: str) -> datetime | None:
        """A point in time as ISO 8601 has it. Without a zone, it is in UTC."""
        value = self.row.values.get(column)
        if value is None or value == "":
            return None
        if isinstance(value, datetime):
            return _in_utc(value)
        try:
            return _in_utc(datetime.fromisoformat(str(value).strip()))
        except (ValueError, OverflowError):
            self.complain(column, "this is not a time as ISO 8601 has it")
            return None


def batches(found: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows, so many at a time as one transaction takes."""
    while batch := list(islice(found, BATCH)):
        yield batch


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def read(path: Path, *, required: Collection[str], known: Collection[str]) -> Iterator[Row]:
    """The rows of a file: CSV with a header, a JSON array of objects, or one object on each line.

    Raises UnreadableFile, also for a column that is missing or unknown.
    """
    # It is read more than once.
    if path.exists() and not path.is_file():
        raise UnreadableFile(f"{path} is no regular file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _read_csv(file) if path.suffix.lower() == ".csv" else _read_json(file)
            for row in rows:
                _check_columns(row, required, known)
                yield row
    except UnicodeDecodeError:
        raise UnreadableFile(f"{path} is not UTF-8") from None
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from None


def _check_columns(row: Row, required: Collection[str], known: Collection[str]) -> None:
    for column in required:
        if column not in row.values:
            raise UnreadableFile(f"row {row.number} has no {column}")
    for column in row.values:
        if column not in known:
            columns = ", ".join(known)
            raise UnreadableFile(f"row {row.number} has an unknown column; known are {columns}")


def _read_csv(file: Any) -> Iterator[Row]:
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if len(set(header)) != len(header):
            raise UnreadableFile("the header names a column twice")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise UnreadableFile(f"line {reader.line_num} has not as many cells as the header")
            yield Row(reader.line_num, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise UnreadableFile(f"line {reader.line_num} is no CSV: {error}") from None


def _read_json(file: Any) -> Iterator[Row]:
    begin = file.read(1)
    while begin.isspace():
        begin = file.read(1)
    file.seek(0)
    if begin == "[":
        items = _parse(file.read(), 1)
        yield from (_as_row(number, item) for number, item in enumerate(items, start=1))
        return
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield _as_row(number, _parse(line, number))


def _parse(text: str, number: int) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise UnreadableFile(f"line {number} is no JSON") from None


def _as_row(number: int, item: Any) -> Row:
    if not isinstance(item, dict):
        raise UnreadableFile(f"row {number} is no object")
    return Row(number, item)
