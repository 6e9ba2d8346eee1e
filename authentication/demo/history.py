"""Creates demo users and four weeks of their history in an empty database.

They have logged in with various clients, mistyped passwords, logged out and created API keys. All
users have the same password. The digests of their tokens are random, so no token exists for them.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session

from authentication import audit, policies
from authentication.audit import Event, Reason
from authentication.demo import names
from authentication.errors import NotEmpty
from authentication.settings import AuthenticationSettings
from database import clock, queries
from database.models import AccessToken, ApiKey, AuditEvent, LoginSession, RefreshToken, User
from database.models import user_roles as roles_of_users

ADMINISTRATOR = "admin@example.org"
BATCH_USERS = 500
_HISTORY = timedelta(weeks=4)

Row = dict[str, Any]


@dataclass(slots=True)
class _Rows:
    """The rows of one batch of users, by table."""

    roles: list[Row] = field(default_factory=list)
    sessions: list[Row] = field(default_factory=list)
    access_tokens: list[Row] = field(default_factory=list)
    refresh_tokens: list[Row] = field(default_factory=list)
    api_keys: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)


def fill(
    db: Session, settings: AuthenticationSettings, *, people: int, hashed_password: str
) -> Iterator[int]:
    """Insert users with their history. Yields the number inserted by each batch. Raises NotEmpty.

    Everything is one transaction, so an interrupted run leaves the database empty.
    """
    if not queries.bulk.is_empty(db):
        raise NotEmpty
    generator = _Generator(db, settings, hashed_password)
    for first in range(0, people, BATCH_USERS):
        count = min(BATCH_USERS, people - first)
        generator.insert(range(first, first + count))
        yield count


class _Generator:
    """Generates random users and their history, and inserts them."""

    def __init__(self, db: Session, settings: AuthenticationSettings, hashed_password: str) -> None:
        self._db = db
        self._settings = settings
        self._hashed_password = hashed_password
        self._now = clock.read(db)
        self._random = Random(4)  # noqa: S311 - for the history only; digests come from `secrets`
        self._roles = {
            role.name: role.id
            for role in queries.users.find_roles(db, ("user", "moderator", "admin"))
        }
        self._rows = _Rows()

    def insert(self, numbers: range) -> None:
        """Insert the users with these numbers. User 0 is the administrator."""
        self._rows = _Rows()
        users = [self._user(number) for number in numbers]
        ids = queries.bulk.insert_numbered(self._db, User, users)
        for number, user_id, user in zip(numbers, ids, users, strict=True):
            self._add_history(number, user_id, user)
        if 0 in numbers:
            self._add_attack()
        self._insert_rows()

    def _user(self, number: int) -> Row:
        name, surname = names.name_of(number)
        created_at = self._now - timedelta(days=self._random.uniform(28, 400))
        email = f"{name}.{surname}{number}@example.org".lower() if number else ADMINISTRATOR
        return {
            "email": email,
            "username": None if number % 3 else f"{name}{number}".lower(),
            "name": name,
            "surname": surname,
            "website": None if number % 7 else f"https://{name.lower()}{number}.example.org",
            "hashed_password": self._hashed_password,
            "is_active": number % 40 != 39,
            "created_at": created_at,
            "updated_at": created_at,
        }

    def _add_history(self, number: int, user_id: int, user: Row) -> None:
        roles = ["user", *["admin"] * (number == 0), *["moderator"] * (number % 25 == 1)]
        self._rows.roles += [{"user_id": user_id, "role_id": self._roles[name]} for name in roles]
        ip = self._random.choice(names.NETWORKS).format(self._random.randrange(1, 255))
        self._add_event(user["created_at"], Event.USER_CREATED, user_id, ip)
        for _ in range(self._random.choice((0, 1, 1, 2, 2, 3, 3, 4, 6))):
            self._add_login(user_id, ip, is_active=user["is_active"])
        if number % 8 == 0:
            self._add_api_key(user_id, ip)

    def _add_login(self, user_id: int, ip: str, *, is_active: bool) -> None:
        session = self._session(user_id, ip)
        for mistake in range(self._random.choice((0, 0, 0, 0, 1, 2))):
            failed_at = session["created_at"] - timedelta(seconds=20 * (mistake + 1))
            self._add_event(
                failed_at, Event.LOGIN_FAILED, user_id, ip, reason=Reason.WRONG_PASSWORD
            )
        self._rows.sessions.append(session)
        details = {"session": str(session["id"]), "client_id": session["client_id"]}
        self._add_event(session["created_at"], Event.LOGIN_SUCCEEDED, user_id, ip, **details)
        self._add_tokens(session)
        if not is_active or self._random.random() < 0.15:
            self._revoke(session, ip, reason=Reason.LOGOUT if is_active else Reason.USER_DISABLED)

    def _session(self, user_id: int, ip: str) -> Row:
        client_id, user_agent = self._random.choice(names.CLIENTS)
        created_at = self._random_time_after(self._now - _HISTORY)
        return {
            "id": uuid4(),
            "user_id": user_id,
            "epoch": 0,
            "client_id": client_id,
            "ip": ip,
            "user_agent": user_agent,
            "created_at": created_at,
            "last_used_at": self._random_time_after(created_at),
            "expires_at": policies.session_end(self._settings, created_at),
            "revoked_at": None,
            "revoked_reason": None,
        }

    def _random_time_after(self, begin: datetime) -> datetime:
        """The latest of three random times, which favours recent ones, and by day if possible."""
        seconds = (self._now - begin).total_seconds()
        times = [begin + timedelta(seconds=self._random.uniform(0, seconds)) for _ in range(3)]
        by_day = [time for time in times if 7 <= time.hour <= 21]
        return max(by_day or times)

    def _add_tokens(self, session: Row) -> None:
        """Add the last pair of tokens of a session."""
        now, end = session["last_used_at"], session["expires_at"]
        common = {"session_id": session["id"], "created_at": now, "scopes": None}
        self._rows.access_tokens.append(
            {
                **common,
                "user_id": session["user_id"],
                "token_digest": secrets.token_bytes(32),
                "expires_at": policies.access_token_end(self._settings, now, end),
            }
        )
        self._rows.refresh_tokens.append(
            {
                **common,
                "token_digest": secrets.token_bytes(32),
                "expires_at": policies.refresh_token_end(self._settings, now, end),
            }
        )

    def _revoke(self, session: Row, ip: str, *, reason: Reason) -> None:
        session["revoked_at"], session["revoked_reason"] = session["last_used_at"], reason
        details = {"session": str(session["id"]), "reason": reason}
        self._add_event(
            session["revoked_at"], Event.SESSION_REVOKED, session["user_id"], ip, **details
        )

    def _add_api_key(self, user_id: int, ip: str) -> None:
        created_at = self._now - timedelta(days=self._random.uniform(0, 28))
        name = self._random.choice(names.API_KEY_NAMES)
        is_revoked = self._random.random() < 0.2
        row: Row = {
            "id": uuid4(),
            "user_id": user_id,
            "name": name,
            "key_digest": secrets.token_bytes(32),
            "hint": secrets.token_hex(2),
            "created_at": created_at,
            "expires_at": created_at + timedelta(days=self._random.choice((30, 90, 365))),
            "last_used_at": self._random_time_after(created_at),
            "revoked_at": self._now - timedelta(minutes=5) if is_revoked else None,
        }
        self._rows.api_keys.append(row)
        details = {"api_key": str(row["id"]), "name": name}
        self._add_event(created_at, Event.API_KEY_CREATED, user_id, ip, **details)
        if is_revoked:
            self._add_event(row["revoked_at"], Event.API_KEY_REVOKED, user_id, ip, **details)

    def _add_attack(self) -> None:
        """Add failed logins from one address that guesses user names."""
        began = self._now - timedelta(days=3, hours=self._random.uniform(0, 12))
        for attempt in range(60):
            at = began + timedelta(seconds=7 * attempt)
            self._add_event(
                at, Event.LOGIN_FAILED, None, "203.0.113.66", reason=Reason.UNKNOWN_USER
            )

    def _add_event(
        self, at: datetime, event: Event, user_id: int | None, ip: str, **detail: str | None
    ) -> None:
        subject = None if user_id is None else audit.user(user_id)
        is_failure = event is Event.LOGIN_FAILED
        self._rows.events.append(
            {
                "at": at,
                "event": event,
                "actor": "anonymous" if is_failure or subject is None else subject,
                "subject": subject,
                "ip": ip,
                "detail": {name: value for name, value in detail.items() if value is not None},
            }
        )

    def _insert_rows(self) -> None:
        rows = self._rows
        queries.bulk.insert_rows(self._db, roles_of_users, rows.roles)
        queries.bulk.insert_rows(self._db, LoginSession, rows.sessions)
        ids = queries.bulk.insert_numbered(self._db, AccessToken, rows.access_tokens)
        for token, access_token_id in zip(rows.refresh_tokens, ids, strict=True):
            token["access_token_id"] = access_token_id
        queries.bulk.insert_rows(self._db, RefreshToken, rows.refresh_tokens)
        queries.bulk.insert_rows(self._db, ApiKey, rows.api_keys)
        # In chronological order, because the log is read in the order of its ids.
        queries.bulk.insert_rows(
            self._db, AuditEvent, sorted(rows.events, key=lambda row: row["at"])
        )
