"""Imports users, with their ids and password hashes, from rows of CSV or JSON.

All rows are checked before any is imported. Names that could not be chosen today are taken as they
are, so that their users can log in; only what the database cannot hold is in the way. Those with
characters that do not show are named, because people may take one for another.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts.roles import DEFAULT_ROLE
from authentication.audit import COMMAND, Event
from authentication.emails import LoginName, normalise_stored
from authentication.importing import rows
from authentication.importing.rows import Problem, Reader, Row
from authentication.passwords.hasher import NO_PASSWORD, PasswordHasher
from authentication.settings import AuthenticationSettings
from database import limits, queries
from database.engine.session import Database
from database.models import User, user_roles
from database.text import has_invisible

REQUIRED = ("email",)
COLUMNS = (
    *("id", "email", "username", "name", "surname", "website", "hashed_password"),
    *("is_active", "email_verified", "roles", "created_at"),
)
_SHOWN = ("email", "username", "name", "surname", "website")
_MAX_HASH_LENGTH = 255
_NUMBER = re.compile(r"[ +-]*[0-9 ]*")

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Account:
    """One valid row: the columns of the user, and the names of the roles."""

    number: int
    values: Values
    roles: tuple[str, ...]


@dataclass(slots=True)
class UserImport:
    """An import of one file. `check` comes first; `store` imports what it has not found fault with.

    `present` counts the rows whose users are there already, as after a run that was interrupted.
    `notes` are about rows that are imported all the same.
    """

    database: Database
    settings: AuthenticationSettings
    path: Path
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    present: int = 0
    _seen: dict[str, set[object]] = field(
        default_factory=lambda: {"id": set(), "email": set(), "username": set()}
    )
    _has_ids: bool | None = None
    _highest_id: int = 0

    def count(self) -> int:
        """How many rows the file has. Raises UnreadableFile."""
        return sum(1 for _ in self._read())

    def check(self) -> Iterator[int]:
        """Check all rows, also against the users that are there. Yields numbers of rows."""
        with self.database.transaction(read_only=True) as db:
            roles = {role.name for role in queries.users.list_roles(db)}
        hasher = PasswordHasher(self.settings)
        for batch in rows.batches(self._read()):
            parser = _Parser(hasher, roles)
            accounts = [self._reject_repeated(parser, row) for row in batch]
            with self.database.transaction(read_only=True) as db:
                self._compare(db, [account for account in accounts if account is not None])
            self.problems += parser.problems
            self.notes += parser.notes
            yield len(batch)

    def store(self) -> Iterator[int]:
        """Import the rows that nothing is in the way of. Yields numbers of rows.

        Each batch is a transaction: what is imported stays, and a second run goes on after it.
        """
        with self.database.transaction(read_only=True) as db:
            role_ids = {role.name: role.id for role in queries.users.list_roles(db)}
        faulty = {problem.number for problem in self.problems}
        parser = _Parser(PasswordHasher(self.settings), role_ids)
        for batch in rows.batches(self._read()):
            accounts = [parser.parse(row) for row in batch if row.number not in faulty]
            with self.database.transaction() as db:
                queries.imports.keep_ids_free(db, self._highest_id)
                _insert(db, [one for one in accounts if one is not None], role_ids)
            yield len(batch)

    def _read(self) -> Iterator[Row]:
        return rows.read(self.path, required=REQUIRED, known=COLUMNS)

    def _reject_repeated(self, parser: "_Parser", row: Row) -> _Account | None:
        """The account, unless an earlier row has one of its names."""
        account = parser.parse(row)
        if account is None:
            return None
        has_id = "id" in account.values
        if has_id != self._has_ids and self._has_ids is not None:
            # One that is generated could be that of a later row.
            text = "either all rows have an id, or none"
            parser.problems.append(Problem(row.number, "id", text))
            return None
        self._has_ids = has_id
        for column, key in _keys(account).items():
            if key in self._seen[column]:
                parser.problems.append(Problem(row.number, column, "an earlier row has it too"))
                return None
        for column, key in _keys(account).items():
            self._seen[column].add(key)
        self._highest_id = max(self._highest_id, account.values.get("id", 0))
        return account

    def _compare(self, db: Session, accounts: Sequence[_Account]) -> None:
        present = _find_present(db, accounts)
        for account in accounts:
            if _is_present(account, present):
                self.present += 1
                continue
            for column, key in _keys(account).items():
                if key in present[column]:
                    text = "another user has it already"
                    self.problems.append(Problem(account.number, column, text))
                    break


def _find_present(db: Session, accounts: Sequence[_Account]) -> dict[str, Mapping[object, int]]:
    """The ids of the users that are there, by each of the names that these accounts have."""
    keys = [_keys(account) for account in accounts]
    wanted = {
        column: [key[column] for key in keys if column in key] for column in ("id", "username")
    }
    # One that was inserted by SQL may be spelt otherwise, and is the same address.
    names = [LoginName.parse(account.values["email"]) for account in accounts]
    wanted["email"] = list({form for name in names for form in name.forms()})
    present = queries.imports.find_present(db, wanted)
    emails: Mapping[object, int] = {
        normalise_stored(str(email)): found for email, found in present["email"].items()
    }
    return {**present, "email": emails}


def _is_present(account: _Account, present: Mapping[str, Mapping[object, int]]) -> bool:
    """Whether the user is there: by the same address, and by the same id if the row has one."""
    keys = _keys(account)
    found = present["email"].get(keys["email"])
    return found is not None and keys.get("id", found) == found


def _keys(account: _Account) -> dict[str, object]:
    """What no two users can have, as it is compared."""
    values = account.values
    keys: dict[str, object] = {"email": normalise_stored(values["email"])}
    if values.get("username"):
        keys["username"] = values["username"].lower()
    if "id" in values:
        keys["id"] = values["id"]
    return keys


def _insert(db: Session, accounts: Sequence[_Account], role_ids: Mapping[str, int]) -> None:
    present = _find_present(db, accounts)
    new = [account for account in accounts if not _is_present(account, present)]
    memberships: list[Values] = []
    events: list[tuple[str, Values]] = []
    for group in (
        [account for account in new if "id" in account.values],
        [account for account in new if "id" not in account.values],
    ):
        ids = queries.bulk.insert_numbered(db, User, [account.values for account in group])
        for account, user_id in zip(group, ids, strict=True):
            memberships += ({"user_id": user_id, "role_id": role_ids[one]} for one in account.roles)
            events.append((audit.user(user_id), {"roles": list(account.roles), "imported": True}))
    queries.bulk.insert_rows(db, user_roles, memberships)
    audit.record_all(db, Event.USER_CREATED, events, origin=COMMAND)


class _Parser:
    """Turns rows into accounts, and collects what is in the way."""

    def __init__(self, hasher: PasswordHasher, roles: Iterable[str]) -> None:
        self._hasher = hasher
        self._roles = frozenset(roles)
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []

    def parse(self, row: Row) -> _Account | None:
        """None if anything is in the way."""
        reader = Reader(row)
        email = self._read_email(reader)
        values: Values = {
            "email": email,
            "verified_email": email if reader.switch("email_verified", default=False) else None,
            "username": self._read_username(reader),
            "name": reader.text("name", most=limits.MAX_LABEL_LENGTH)
            or email.partition("@")[0][: limits.MAX_LABEL_LENGTH],
            "surname": reader.text("surname", most=limits.MAX_LABEL_LENGTH),
            "website": reader.text("website", most=limits.MAX_TEXT_LENGTH),
            "hashed_password": self._read_hash(reader),
            "is_active": reader.switch("is_active", default=True),
        }
        if (user_id := reader.number("id")) is not None:
            values["id"] = user_id
        if (created_at := reader.moment("created_at")) is not None:
            values["created_at"] = values["updated_at"] = created_at
        roles = self._read_roles(reader)
        self.problems += reader.problems
        if reader.problems:
            return None
        self._note_invisible(row.number, values)
        return _Account(row.number, values, roles)

    def _note_invisible(self, number: int, values: Values) -> None:
        for column in _SHOWN:
            if has_invisible(values[column] or ""):
                text = "it has characters that do not show, and is taken as it is"
                self.notes.append(Problem(number, column, text))

    def _read_email(self, reader: Reader) -> str:
        """In the normalised form where it is an address that could be chosen today."""
        email = reader.text("email", most=limits.MAX_STORED_EMAIL_LENGTH)
        if email is None:
            if not reader.problems:
                reader.complain("email", "it is empty, so that nobody could log in by it")
            return ""
        return LoginName.parse(email).normalised

    def _read_username(self, reader: Reader) -> str | None:
        username = reader.text("username", most=limits.MAX_USERNAME_LENGTH)
        if username is not None and _NUMBER.fullmatch(username):
            reader.complain("username", "it is a number, which commands would take for an id")
        return username

    def _read_hash(self, reader: Reader) -> str:
        hashed = reader.text("hashed_password", most=_MAX_HASH_LENGTH)
        # Django writes a random text after the mark.
        if hashed is None or hashed.startswith(NO_PASSWORD):
            return NO_PASSWORD
        if not self._hasher.is_known(hashed):
            text = "no hash that is accepted: see COUNTERFOIL_FOREIGN_PASSWORD_HASHES"
            reader.complain("hashed_password", text)
        return hashed

    def _read_roles(self, reader: Reader) -> tuple[str, ...]:
        value = reader.row.values.get("roles")
        listed = value if isinstance(value, list) else re.split(r"[\s,;]+", str(value or ""))
        names = dict.fromkeys([DEFAULT_ROLE, *(str(one) for one in listed if one)])
        if not self._roles.issuperset(names):
            reader.complain("roles", "there is no such role")
        return tuple(names)
