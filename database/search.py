"""Searches rows by prefixes of words, on both databases and without extensions of either.

PostgreSQL uses its built-in full-text index, SQLite scans the table.
"""

import re
from typing import Any

# Makes `func` know PostgreSQL's full-text functions.
import sqlalchemy.dialects.postgresql  # noqa: F401
from sqlalchemy import ColumnElement, String, and_, false, func, literal_column, true
from sqlalchemy.orm import Mapped, Session

Column = ColumnElement[Any] | Mapped[Any]

_MAX_WORDS = 8
# Words consist of letters, digits and non-ASCII characters. PostgreSQL's parser also accepts these
# characters within e-mail addresses, URLs, numbers and tags, so they are replaced by spaces.
_PARSED_PUNCTUATION = "@./:+-_#&~<>=?"
_PUNCTUATION = re.compile(r"[\x00-/:-@\[-`{-\x7f\s]+")
_BEFORE_A_WORD = "[\x01-/:-@[-`{-~]"
_CONFIGURATION: ColumnElement[Any] = literal_column("'simple'::regconfig")


def word_index(*columns: Column) -> ColumnElement[Any]:
    """The expression of PostgreSQL's full-text index on these columns."""
    spaces = " " * len(_PARSED_PUNCTUATION)
    words = func.translate(
        _text(*columns), literal_column(f"'{_PARSED_PUNCTUATION}'"), literal_column(f"'{spaces}'")
    )
    return func.to_tsvector(_CONFIGURATION, words)


def has_words(db: Session, text: str, *columns: Column) -> ColumnElement[bool]:
    """The condition that each word of the text is a prefix of a word in the columns.

    Ignores case, on SQLite only that of ASCII letters.
    """
    words = _PUNCTUATION.sub(" ", text).split()[:_MAX_WORDS]
    if not words:
        return false() if text.strip() else true()
    if db.get_bind().dialect.name == "postgresql":
        query = " & ".join(f"'{word}':*" for word in words)
        return word_index(*columns).bool_op("@@")(func.to_tsquery(_CONFIGURATION, query))
    document = _join(literal_column("' '", String), func.lower(_text(*columns)))
    return and_(*(_begins_a_word(word, document) for word in words))


def starts_with(db: Session, column: Column, text: str) -> ColumnElement[bool]:
    """The condition that the column begins with the text, ignoring case. Can use an index."""
    if db.get_bind().dialect.name == "postgresql":
        return func.lower(column).like(func.lower(_escape(text) + "%"))
    # SQLite's LIKE does not use an index on an expression; a range does.
    lowered = func.lower(column)
    return and_(lowered >= func.lower(text), lowered < func.lower(text + chr(0x10FFFF)))


def _begins_a_word(word: str, document: ColumnElement[str]) -> ColumnElement[bool]:
    """For SQLite. The faster instr() comes first, as GLOB tries every position."""
    pattern = func.lower(f"*{_BEFORE_A_WORD}{word}*")
    return and_(func.instr(document, func.lower(word)) > 0, document.bool_op("GLOB")(pattern))


def _text(*columns: Column) -> ColumnElement[str]:
    """The columns joined by spaces, nested as PostgreSQL prints it, which alembic compares."""
    nothing, space = literal_column("''", String), literal_column("' '", String)
    first, *others = (func.coalesce(column, nothing) for column in columns)
    text: ColumnElement[str] = first
    for column in others:
        text = _join(_join(text, space), column)
    return text


def _join(left: ColumnElement[str], right: ColumnElement[str]) -> ColumnElement[str]:
    return left.op("||", return_type=String())(right)


def _escape(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
