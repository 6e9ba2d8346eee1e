"""Imports live tokens of another system: a session each, which that system's clients go on with.

Where the other system keeps tokens, their digests are computed from them; where it keeps digests,
from those. Each session ends with the token, and on the last day on which such tokens are accepted.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from authentication import audit, permissions
from authentication.audit import COMMAND, Event
from authentication.emails import LoginName, normalise_stored
from authentication.importing import rows
from authentication.importing.rows import Problem, Reader, Row
from counterfoil import foreign_tokens
from database import clock, limits, queries
from database.engine.session import Database
from database.foreign_tables import TokenTable
from database.ids import uuid7
from database.models import AccessToken, LoginSession
from database.text import is_comparable

REQUIRED = ("token", "email")
COLUMNS = ("token", "email", "created_at", "expires_at", "last_used_at", "abilities")
_MAX_TOKEN_LENGTH = 200

Values = dict[str, Any]


class Source(StrEnum):
    """The systems whose tokens can be imported."""

    DRF = "drf"
    FASTAPI_USERS = "fastapi-users"
    KNOX = "knox"
    SANCTUM = "sanctum"


# Where each keeps them by default. `token` is the token, or all that is kept of it.
TABLES = {
    Source.DRF: TokenTable(
        "authtoken_token", "auth_user", "user_id", {"token": "key", "created_at": "created"}
    ),
    Source.FASTAPI_USERS: TokenTable(
        "accesstoken", "user", "user_id", {"token": "token", "created_at": "created_at"}
    ),
    Source.KNOX: TokenTable(
        "knox_authtoken",
        "auth_user",
        "user_id",
        {"token": "digest", "created_at": "created", "expires_at": "expiry"},
    ),
    Source.SANCTUM: TokenTable(
        "personal_access_tokens",
        "users",
        "tokenable_id",
        {
            "token": "token",
            **{name: name for name in ("created_at", "expires_at", "last_used_at", "abilities")},
        },
        # Other models than users may have tokens too.
        ("tokenable_type", "App\\Models\\User"),
    ),
}


def read(path: Path) -> Iterator[Row]:
    """The rows of a file, with the columns as above. Raises UnreadableFile."""
    return rows.read(path, required=REQUIRED, known=COLUMNS)


def _of_token(text: str) -> bytes | None:
    return foreign_tokens.digest(text)


def _of_sha512(text: str) -> bytes | None:
    return foreign_tokens.of_sha512(bytes.fromhex(text)) if len(text) == 128 else None


def _of_sha256(text: str) -> bytes | None:
    return bytes.fromhex(text) if len(text) == 64 else None


_DIGESTS: dict[Source, Callable[[str], bytes | None]] = {
    Source.DRF: _of_token,
    Source.FASTAPI_USERS: _of_token,
    Source.KNOX: _of_sha512,
    Source.SANCTUM: _of_sha256,
}


def _parse_list(value: Any) -> list[str] | None:
    """A list of texts without spaces, as such or as JSON. None for anything else."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(found, list):
        return None
    is_valid = all(isinstance(one, str) and one and " " not in one for one in found)
    return found if is_valid and all(map(is_comparable, found)) else None


@dataclass(frozen=True, slots=True)
class _Token:
    """One valid row."""

    digest: bytes
    name: LoginName
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    scopes: str | None


@dataclass(slots=True)
class TokenImport:
    """An import of the tokens that are found.

    `lifetime` is that of tokens whose expiry the other system does not store. `expired`, `present`
    and `without_user` count the rows that are left out.
    """

    database: Database
    source: Source
    found: Iterator[Row]
    ends_at: datetime
    lifetime: timedelta | None = None
    problems: list[Problem] = field(default_factory=list)
    stored: int = 0
    expired: int = 0
    present: int = 0
    without_user: int = 0

    def run(self, *, dry_run: bool = False) -> Iterator[int]:
        """Import the tokens, each batch in a transaction. Yields numbers of rows.

        A second run leaves out what the first has imported. Raises UnreadableFile.
        """
        for batch in rows.batches(self.found):
            with self.database.transaction(read_only=dry_run) as db:
                now = clock.read(db)
                parsed = [self._parse(row, now) for row in batch]
                found = {one.digest: one for one in parsed if one is not None}
                self._store(db, list(found.values()), dry_run=dry_run)
            yield len(batch)

    def _parse(self, row: Row, now: datetime) -> _Token | None:
        reader = Reader(row)
        email = reader.text("email", most=limits.MAX_STORED_EMAIL_LENGTH)
        digest = self._digest(reader)
        created_at = reader.moment("created_at") or now
        last_used_at = reader.moment("last_used_at") or created_at
        expires_at = self._end(reader, created_at)
        scopes = self._scopes(reader)
        self.problems += reader.problems
        if digest is None or email is None or reader.problems:
            return None
        if expires_at <= now:
            self.expired += 1
            return None
        # A clock that is ahead must not make a session that begins in the future.
        began = min(created_at, now)
        name = LoginName.parse(email)
        return _Token(digest, name, began, min(last_used_at, now), expires_at, scopes)

    def _digest(self, reader: Reader) -> bytes | None:
        text = reader.text("token", most=_MAX_TOKEN_LENGTH)
        try:
            digest = _DIGESTS[self.source](text or "")
        except ValueError:
            digest = None
        if digest is None:
            reader.complain("token", f"this is not what {self.source} stores of a token")
        return digest

    def _end(self, reader: Reader, created_at: datetime) -> datetime:
        ends = [self.ends_at]
        if (expires_at := reader.moment("expires_at")) is not None:
            ends.append(expires_at)
        if self.lifetime is not None:
            ends.append(created_at + self.lifetime)
        return min(ends)

    def _scopes(self, reader: Reader) -> str | None:
        """None if the token may do what its user may: Sanctum lists `*`, others nothing."""
        value = reader.row.values.get("abilities")
        if value is None or value == "":
            return None
        abilities = _parse_list(value)
        if abilities is None:
            reader.complain("abilities", "this is no list of abilities without spaces")
            return None
        return None if "*" in abilities else permissions.join(set(abilities))

    def _store(self, db: Session, found: Sequence[_Token], *, dry_run: bool) -> None:
        users = _find_users(db, found)
        known = set(queries.access_tokens.list_known(db, [token.digest for token in found]))
        self.present += len(known)
        new = [token for token in found if token.digest not in known]
        matched = [token for token in new if token.digest in users]
        self.without_user += len(new) - len(matched)
        self.stored += len(matched)
        if not dry_run:
            self._insert(db, matched, users)

    def _insert(
        self, db: Session, found: Sequence[_Token], users: Mapping[bytes, tuple[int, int]]
    ) -> None:
        # In the order of users, in which others lock them too.
        found = sorted(found, key=lambda token: users[token.digest])
        sessions = [self._session(token, *users[token.digest]) for token in found]
        tokens = [
            {
                "session_id": session["id"],
                "user_id": session["user_id"],
                "token_digest": token.digest,
                "scopes": token.scopes,
                "created_at": token.created_at,
                "expires_at": token.expires_at,
            }
            for session, token in zip(sessions, found, strict=True)
        ]
        queries.bulk.insert_rows(db, LoginSession, sessions)
        queries.bulk.insert_rows(db, AccessToken, tokens)
        events = [
            (
                audit.user(session["user_id"]),
                {"session": str(session["id"]), "client_id": session["client_id"]},
            )
            for session in sessions
        ]
        audit.record_all(db, Event.SESSION_IMPORTED, events, origin=COMMAND)

    def _session(self, token: _Token, user_id: int, epoch: int) -> Values:
        return {
            "id": uuid7(),
            "user_id": user_id,
            "epoch": epoch,
            "client_id": f"Moved from {self.source}",
            "created_at": token.created_at,
            "last_used_at": token.last_used_at,
            "expires_at": token.expires_at,
        }


def _find_users(db: Session, found: Sequence[_Token]) -> dict[bytes, tuple[int, int]]:
    """The ids and session epochs of the active users of these tokens, by digest.

    They are found as they log in: by their address as it is spelt, and else in its normal form.
    """
    forms = {form for token in found for form in token.name.forms()}
    by_spelling: dict[str, tuple[int, int]] = {}
    by_form: dict[str, tuple[int, int]] = {}
    for email, user_id, epoch in queries.imports.list_active(db, forms):
        by_spelling[email.lower()] = by_form[normalise_stored(email)] = user_id, epoch
    users: dict[bytes, tuple[int, int]] = {}
    for token in found:
        name = token.name
        user = (
            by_spelling.get(name.typed.lower())
            or by_spelling.get(name.normalised)
            or by_form.get(name.normalised)
        )
        if user is not None:
            users[token.digest] = user
    return users
