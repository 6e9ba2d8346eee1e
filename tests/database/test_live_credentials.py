"""The SQL contract: it finds what the service would let in, with the same roles and scopes."""

import asyncio
import itertools
import json
import random
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg2
import pytest
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, ISOLATION_LEVEL_SERIALIZABLE
from sqlalchemy import insert
from sqlalchemy.orm import Session

from counterfoil import tokens
from counterfoil.identity import CredentialKind, Identity
from counterfoil.resolver import Resolver
from counterfoil.tokens import TokenKind
from database.models import AccessToken, ApiKey, LoginSession, User
from database.models.role import user_roles
from scripts.docs.table_meanings import CREDENTIAL_VIEW
from tests.support.administrator import Sql, run_sql
from tests.support.client import Client, Tokens

# "odd" has what only SQL can store: white space of all kinds, quotes, and a scope twice.
ROLES = {
    "clerk": "orders:read orders:write",
    "reader": "orders:read",
    "empty": "",
    "odd": ' orders:read\torders:read  "quoted" \\n\n é account\r',
}
SETS_OF_ROLES = [(), ("empty",), ("reader",), ("clerk", "reader"), ("odd",), tuple(ROLES)]
SCOPES = [
    None,
    "",
    "account",
    "orders:read",
    "orders:read orders:write account",
    "orders: read",
    "\torders:write\n orders:read  ",
    ' account "quoted" \\n é orders:read',
]
GRANTED = [None, "", "reader", "clerk,reader", "odd,empty", "cler", "clerk,reader,empty,odd"]
EARLIER = datetime.now(UTC) - timedelta(hours=1)
LATER = datetime.now(UTC) + timedelta(hours=1)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Case(NamedTuple):
    """A token, and whether it is one that works."""

    token: str
    is_live: bool


class Population:
    """Users, sessions, tokens and keys in every state."""

    def __init__(self, db: Session, role_ids: dict[str, int]) -> None:
        self.cases: list[Case] = []
        self._db = db
        self._role_ids = role_ids
        self._random = random.Random(18)
        self._sessions: list[dict[str, Any]] = []
        self._tokens: list[dict[str, Any]] = []
        self._keys: list[dict[str, Any]] = []

    def fill(self) -> None:
        for number, (roles, is_active) in enumerate(
            itertools.product(SETS_OF_ROLES, (True, False))
        ):
            user_id = self._add_user(f"user{number}@example.org", roles, is_active=is_active)
            for state in itertools.product((True, False), repeat=5):
                self._add_access_token(user_id, is_active, *state)
            for scopes in SCOPES:
                self._add_access_token(user_id, is_active, *[True] * 5, scopes=scopes)
            for scopes, granted in itertools.product(SCOPES, GRANTED):
                self._add_api_key(user_id, is_active, scopes, granted)
        self._db.execute(insert(LoginSession), self._sessions)
        self._db.execute(insert(AccessToken), self._tokens)
        self._db.execute(insert(ApiKey), self._keys)

    def _add_user(self, email: str, roles: Sequence[str], *, is_active: bool) -> int:
        user = User(email=email, name="Ada", surname="é", hashed_password="", is_active=is_active)
        user.session_epoch = 7
        self._db.add(user)
        self._db.flush()
        for role in roles:
            row = {"user_id": user.id, "role_id": self._role_ids[role]}
            self._db.execute(insert(user_roles).values(row))
        return user.id

    def _add_access_token(
        self,
        user_id: int,
        *conditions: bool,
        scopes: str | None = None,
    ) -> None:
        _, is_unexpired, session_is_unexpired, is_unrevoked, is_of_epoch, is_of_api = conditions
        token = tokens.create(TokenKind.ACCESS)
        session_id = uuid4()
        self._sessions.append(
            {
                "id": session_id,
                "user_id": user_id,
                "epoch": 7 if is_of_epoch else 6,
                "client_id": self._random.choice([None, "phone"]),
                "expires_at": LATER if session_is_unexpired else EARLIER,
                "revoked_at": None if is_unrevoked else EARLIER,
                "confirmed_at": self._random.choice([None, EARLIER]),
                "second_factor_at": self._random.choice([None, EARLIER]),
                "amr": self._random.choice([None, "pwd", "mfa otp pwd"]),
                "kind": "api" if is_of_api else "console",
            }
        )
        self._tokens.append(
            {
                "session_id": session_id,
                "user_id": user_id,
                "token_digest": token.digest,
                "scopes": scopes,
                "expires_at": LATER if is_unexpired else EARLIER,
            }
        )
        self.cases.append(Case(token.text, all(conditions)))

    def _add_api_key(
        self, user_id: int, is_active: bool, scopes: str | None, granted: str | None
    ) -> None:
        key = tokens.create(TokenKind.API_KEY)
        expires_at = self._random.choice([None, LATER, EARLIER])
        revoked_at = self._random.choice([None, None, EARLIER])
        self._keys.append(
            {
                "user_id": user_id,
                "name": "key",
                "key_digest": key.digest,
                "hint": "abcd",
                "scopes": scopes,
                "roles": granted,
                "expires_at": expires_at,
                "revoked_at": revoked_at,
            }
        )
        is_live = is_active and expires_at is not EARLIER and revoked_at is None
        self.cases.append(Case(key.text, is_live))


@pytest.fixture
def cases(client: Client, sql: Sql) -> list[Case]:
    for name, scopes in ROLES.items():
        escaped = scopes.replace("'", "''")
        sql(f"INSERT INTO roles (name, scopes) VALUES ('{name}', '{escaped}')")
    sql("UPDATE roles SET requires_second_factor = true WHERE name = 'clerk'")
    role_ids = {name: role_id for role_id, name in sql("SELECT id, name FROM roles")}
    service = client.http.app.state.service  # type: ignore[attr-defined]
    with service.database.transaction() as db:
        population = Population(db, role_ids)
        population.fill()
    return population.cases


def resolve(client: Client, texts: Sequence[str]) -> list[Identity | None]:
    """What the service makes of these tokens."""
    resolver: Resolver = client.http.app.state.service.resolver  # type: ignore[attr-defined]

    async def resolve_all() -> list[Identity | None]:
        return await asyncio.gather(*map(resolver.resolve, texts))

    portal = client.http.portal
    assert portal is not None
    return portal.call(resolve_all)


Read = Callable[[Sequence[str]], dict[bytes, Identity]]


@pytest.fixture
def read(sql: Sql, database_url: str) -> Read:
    """The credentials that the contract shows for the digests of these tokens."""
    columns = ", ".join(["digest", *Identity._fields])

    def read(texts: Sequence[str]) -> dict[bytes, Identity]:
        digests = list(map(tokens.digest, texts))
        if database_url.startswith("sqlite"):
            marks = ", ".join("?" * len(digests))
            query = f"SELECT {columns} FROM live_credentials WHERE digest IN ({marks})"
            found = sql(query, digests)
        else:
            query = f"SELECT {columns} FROM counterfoil_resolve_digests(%s::bytea[])"
            found = sql(query, (digests,))
        return {bytes(digest): identity(row) for digest, *row in found}

    return read


def identity(row: Sequence[Any]) -> Identity:
    """A row of the contract in the types of Python."""
    found = Identity(*row)
    lists: Any = found.user_roles, found.roles, found.scopes
    user, roles, scopes = (json.loads(one) if isinstance(one, str) else one for one in lists)
    assert all(one == sorted(set(one)) for one in (user, roles, scopes))
    return found._replace(
        kind=CredentialKind(found.kind),
        user_roles=tuple(user),
        roles=tuple(roles),
        scopes=frozenset(scopes),
        session_id=found.session_id and UUID(str(found.session_id)),
        api_key_id=found.api_key_id and UUID(str(found.api_key_id)),
        looked_up_at=0,
        amr=tuple(found.amr.split()) if found.amr else (),  # type: ignore[attr-defined]
    )


def test_it_shows_what_the_service_lets_in_with_the_same_roles_and_scopes(
    client: Client, read: Read, cases: list[Case]
) -> None:
    shown = read([case.token for case in cases])
    resolved = resolve(client, [case.token for case in cases])
    assert len({(one.roles, one.scopes) for one in shown.values()}) > 20
    for case, known in zip(cases, resolved, strict=True):
        assert (known is not None) is case.is_live
        expected = known and known._replace(looked_up_at=0)
        assert shown.get(tokens.digest(case.token)) == expected


@POSTGRESQL
def test_the_functions_find_what_the_view_shows(sql: Sql, cases: list[Case]) -> None:
    texts = [case.token for case in cases]
    by_token = sql("SELECT r.* FROM unnest(%s) AS sent, counterfoil_resolve(sent) AS r", (texts,))
    digests = list(map(tokens.digest, texts))
    by_digest = sql("SELECT * FROM counterfoil_resolve_digests(%s::bytea[])", (digests,))
    shown = sql("SELECT * FROM live_credentials")
    assert without_time(by_token) == without_time(by_digest) == without_time(shown)
    assert len(shown) == sum(case.is_live for case in cases)


def without_time(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    time = [*CREDENTIAL_VIEW].index("looked_up_at")
    return sorted((bytes(row[0]), *map(str, row[1:time] + row[time + 1 :])) for row in rows)


def test_it_has_the_columns_that_are_documented(client: Client, sql: Sql) -> None:
    client.sign_up()
    documented = sql(f"SELECT {', '.join(CREDENTIAL_VIEW)} FROM live_credentials")
    assert without_time(sql("SELECT * FROM live_credentials")) == without_time(documented)


@pytest.fixture
def everything(client: Client) -> tuple[Tokens, str]:
    """The tokens and the API key of Ada."""
    logged_in = client.sign_up()
    return logged_in, client.create_api_key(logged_in)["key"]


def test_it_shows_no_refresh_token(read: Read, everything: tuple[Tokens, str]) -> None:
    logged_in, key = everything
    assert len(read([logged_in.access_token, key, logged_in.refresh_token])) == 2


@POSTGRESQL
def test_text_that_is_no_token_finds_nothing(
    client: Client, sql: Sql, everything: tuple[Tokens, str]
) -> None:
    logged_in, key = everything
    access = logged_in.access_token
    assert len(sql("SELECT user_id FROM counterfoil_resolve(%s)", (access,))) == 1
    assert len(sql("SELECT user_id FROM counterfoil_resolve(%s)", (key,))) == 1
    others = [
        logged_in.refresh_token,
        *(access + more for more in (" ", "\n", "A", "é")),
        *("", " " + access, access[:-1], access.upper(), access.replace("cfa_", "cfk_")),
        *("é" * 53, "cfa_" + "é" * 49, access * 100_000, "cfa_" + "A" * 49),
        *("'; DROP TABLE users; --", "%", "cfa_%", "\\x00"),
    ]
    for text in others:
        assert sql("SELECT user_id FROM counterfoil_resolve(%s)", (text,)) == [], text[:80]
    assert sql("SELECT user_id FROM counterfoil_resolve(NULL)") == []


@POSTGRESQL
def test_a_digest_of_a_refresh_token_or_of_a_key_under_the_other_prefix_finds_nothing(
    client: Client, sql: Sql, everything: tuple[Tokens, str]
) -> None:
    """Whatever somebody stores as a digest: the prefix says in which table to look."""
    _, key = everything
    for text in (tokens.create(TokenKind.REFRESH).text, tokens.create(TokenKind.ACCESS).text):
        sql("UPDATE api_keys SET key_digest = sha256(%s)", (text.encode(),))
        assert len(sql("SELECT 1 FROM live_credentials WHERE kind = 'api_key'")) == 1
        assert sql("SELECT user_id FROM counterfoil_resolve(%s)", (text,)) == []
    assert sql("SELECT user_id FROM counterfoil_resolve(%s)", (key,)) == []


@POSTGRESQL
def test_digests_that_are_none_find_nothing(
    sql: Sql, everything: tuple[Tokens, str], read: Read
) -> None:
    logged_in, _ = everything
    for given in ("NULL", "'{}'", "ARRAY[NULL, '', '\\x00']::bytea[]"):
        assert sql(f"SELECT user_id FROM counterfoil_resolve_digests({given})") == []
    assert len(read([logged_in.access_token] * 100 + ["x"] * 10_000)) == 1


@POSTGRESQL
def test_bytes_that_are_no_text_are_an_error(database_url: str) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        for sent in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80"):
            with pytest.raises(psycopg2.errors.CharacterNotInRepertoire):
                cursor.execute(b"SELECT * FROM counterfoil_resolve('cfa_" + sent + b"')")
            connection.rollback()


@POSTGRESQL
@pytest.mark.parametrize("level", [ISOLATION_LEVEL_REPEATABLE_READ, ISOLATION_LEVEL_SERIALIZABLE])
def test_a_snapshot_that_may_be_older_than_a_revocation_is_rejected(
    database_url: str, everything: tuple[Tokens, str], level: int
) -> None:
    logged_in, _ = everything
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        connection.set_isolation_level(level)
        with pytest.raises(psycopg2.errors.InvalidTransactionState, match="isolation level"):
            cursor.execute("SELECT * FROM counterfoil_resolve(%s)", (logged_in.access_token,))


@POSTGRESQL
@pytest.mark.parametrize(
    "expire",
    [
        "UPDATE access_tokens SET expires_at = clock_timestamp()",
        "UPDATE sessions SET expires_at = clock_timestamp()",
        "UPDATE api_keys SET expires_at = clock_timestamp()",
    ],
)
def test_expiry_is_judged_at_the_statement_in_a_transaction_that_began_earlier(
    database_url: str, sql: Sql, everything: tuple[Tokens, str], expire: str
) -> None:
    """A driver that opens transactions by itself may leave one open for hours."""
    logged_in, key = everything
    sent = key if "api_keys" in expire else logged_in.access_token
    query = "SELECT looked_up_at FROM counterfoil_resolve(%s)"
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query, (sent,))
        ((first,),) = cursor.fetchall()
        cursor.execute(query, (sent,))
        ((second,),) = cursor.fetchall()
        assert second > first
        sql(expire)
        cursor.execute(query, (sent,))
        assert cursor.fetchall() == []


@POSTGRESQL
def test_a_lookup_reads_by_index_only(
    database_url: str, client: Client, sql: Sql, cases: list[Case]
) -> None:
    sql("ANALYZE access_tokens; ANALYZE sessions; ANALYZE users; ANALYZE api_keys; ANALYZE roles")
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0;"
            " SET auto_explain.log_nested_statements = on; SET client_min_messages = log"
        )
        for query, sent in (
            ("SELECT * FROM counterfoil_resolve(%s)", cases[0].token),
            (
                "SELECT * FROM counterfoil_resolve_digests(%s)",
                [tokens.digest(case.token) for case in cases[:9]],
            ),
        ):
            del connection.notices[:]
            cursor.execute(query, (sent,))
            plans = [one for one in connection.notices if "FROM live_credentials" in one]
            assert len(plans) == (len(sent) if isinstance(sent, list) else 1)
            for plan in plans:
                assert re.search(r"Index Cond: \(token_digest = \$\d\)", plan), plan
                assert re.search(r"Index Cond: \(key_digest = \$\d\)", plan), plan
                assert "Index Cond: (id = access_tokens.session_id)" in plan
                assert "Seq Scan" not in plan


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_lookup_in_sqlite_reads_by_index_only(sql: Sql) -> None:
    query = "SELECT * FROM live_credentials WHERE digest = ?"
    plan = [str(row[-1]) for row in sql(f"EXPLAIN QUERY PLAN {query}", (b"",))]
    assert "SEARCH access_tokens USING INDEX" in " ".join(plan)
    assert "(token_digest=?)" in " ".join(plan)
    assert "(key_digest=?)" in " ".join(plan)
    tables = ("access_tokens", "api_keys", "sessions", "users", "user_roles", "roles")
    assert [step for step in plan if step.startswith("SCAN") and step.split()[1] in tables] == []


REVOCATIONS = [
    "DELETE FROM access_tokens",
    "DELETE FROM sessions",
    "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP",
    "UPDATE users SET session_epoch = session_epoch + 1",
    "UPDATE users SET is_active = false",
    "DELETE FROM users",
]


@pytest.mark.parametrize("statement", REVOCATIONS)
def test_what_is_revoked_by_plain_sql_is_gone_for_the_next_call(
    database_url: str, sql: Sql, everything: tuple[Tokens, str], statement: str
) -> None:
    token = everything[0].access_token
    if database_url.startswith("sqlite"):
        query, sent = "SELECT user_id FROM live_credentials WHERE digest = ?", tokens.digest(token)
        assert len(sql(query, (sent,))) == 1
        sql(statement)
        assert sql(query, (sent,)) == []
        return
    # On one connection, whose plan was cached before, and whose transaction goes on.
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user_id FROM counterfoil_resolve(%s)", (token,))
        assert len(cursor.fetchall()) == 1
        run_sql(database_url, statement)
        cursor.execute("SELECT user_id FROM counterfoil_resolve(%s)", (token,))
        assert cursor.fetchall() == []


def test_a_role_that_is_taken_away_is_gone_for_the_next_call(
    sql: Sql, read: Read, everything: tuple[Tokens, str]
) -> None:
    token = everything[0].access_token
    (before,) = read([token]).values()
    sql("DELETE FROM user_roles")
    (after,) = read([token]).values()
    assert (before.roles, after.roles) == (("user",), ())
    assert after.scopes == {"account"}
