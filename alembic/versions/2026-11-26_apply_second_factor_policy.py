"""Let a role that requires a second factor give nothing to a session that has none.

The views by which credentials are judged leave such roles out, and show when the second factor was
given and by which methods. Each is replaced in place, so its grants and the statements that running
workers have prepared stay.
"""

from alembic import op
from sqlalchemy import text

revision = "0020_second_factors"
down_revision = "0020_factor_tables"
branch_labels = None
depends_on = None

LOOKUP_VIEW = """
SELECT
  {credential},
  users.id AS user_id,
  users.email AS email,
  users.username AS username,
  users.name AS name,
  users.surname AS surname,
  users.website AS website,
  {user_created_at} AS user_created_at,
  {user_updated_at} AS user_updated_at,
  (
    SELECT {aggregate}(roles.name || '=' || roles.scopes, ';')
    FROM user_roles JOIN roles ON roles.id = user_roles.role_id
    WHERE user_roles.user_id = users.id{policy}
  ) AS grants,
  {looked_up_at} AS looked_up_at,
  {confirmed_at} AS session_confirmed_at{factors}
{source}
"""

ACCESS_TOKEN = """access_tokens.token_digest AS digest,
  access_tokens.id AS credential_id,
  access_tokens.scopes AS scopes,
  {issued_at} AS issued_at,
  {expires_at} AS expires_at,
  {last_used_at} AS last_used_at,
  sessions.id AS session_id,
  {session_expires_at} AS session_expires_at,
  sessions.client_id AS client_id,
  sessions.kind AS session_kind,
  CAST(NULL AS TEXT) AS granted_roles"""

ACCESS_TOKENS = """FROM access_tokens
JOIN sessions ON sessions.id = access_tokens.session_id
JOIN users ON users.id = sessions.user_id
WHERE access_tokens.expires_at > {now}
  AND sessions.revoked_at IS NULL
  AND sessions.expires_at > {now}
  AND sessions.epoch = users.session_epoch
  AND users.is_active"""

API_KEY = """api_keys.key_digest AS digest,
  api_keys.id AS credential_id,
  api_keys.scopes AS scopes,
  {issued_at} AS issued_at,
  {expires_at} AS expires_at,
  {last_used_at} AS last_used_at,
  CAST(NULL AS {uuid}) AS session_id,
  CAST(NULL AS FLOAT) AS session_expires_at,
  CAST(NULL AS VARCHAR(200)) AS client_id,
  CAST(NULL AS VARCHAR(16)) AS session_kind,
  api_keys.roles AS granted_roles"""

API_KEYS = """FROM api_keys
JOIN users ON users.id = api_keys.user_id
WHERE api_keys.revoked_at IS NULL
  AND (api_keys.expires_at IS NULL OR api_keys.expires_at > {now})
  AND users.is_active"""


VIEW = """
{create} live_credentials AS
{access_tokens}
UNION ALL
{api_keys}
"""

# {allowed} is whether the credential may use `words.value`, one scope of a role.
CREDENTIALS = """SELECT
  live.digest AS digest,
  CAST('{kind}' AS TEXT) AS kind,
  live.user_id AS user_id,
  live.email AS email,
  live.username AS username,
  live.name AS name,
  live.surname AS surname,
  live.website AS website,
  live.user_created_at AS user_created_at,
  live.user_updated_at AS user_updated_at,
  {user_roles} AS user_roles,
  {roles} AS roles,
  {scopes} AS scopes,
  live.session_id AS session_id,
  live.session_expires_at AS session_expires_at,
  live.session_confirmed_at AS confirmed_at,
  live.client_id AS client_id,
  {access_token_id} AS access_token_id,
  {api_key_id} AS api_key_id,
  live.issued_at AS issued_at,
  live.expires_at AS expires_at,
  {looked_up_at} AS looked_up_at{factors}
FROM {source} AS live
{where}"""

ROLES = """SELECT roles.name AS value
    FROM user_roles JOIN roles ON roles.id = user_roles.role_id
    WHERE user_roles.user_id = live.user_id{policy}"""

HELD_ROLES = """{roles}{granted}
      AND NOT EXISTS (
        SELECT 1 FROM {words} AS {words_alias}
        WHERE words.value <> '' AND NOT ({allowed})
      )"""

SCOPES = """SELECT words.value AS value
    FROM user_roles JOIN roles ON roles.id = user_roles.role_id CROSS JOIN {words} AS {words_alias}
    WHERE user_roles.user_id = live.user_id{policy} AND words.value <> '' AND {allowed}
    UNION
    SELECT words.value FROM (SELECT CAST('account' AS TEXT) AS value) AS words WHERE {allowed}"""

ARRAY = """
    SELECT CAST(value AS TEXT) FROM (
    {query}
    ) AS found ORDER BY value COLLATE "C"
  """

JSON_ARRAY = """
    SELECT json_group_array(value) FROM (
    {query}
    ORDER BY value)
  """

NO_FACTORS = ("CAST(NULL AS FLOAT)", "CAST(NULL AS VARCHAR(64))")

# One condition, so that the plan has no join more than before.
POLICY = "\n    AND ({second_factor_at} IS NOT NULL OR NOT roles.requires_second_factor)"


def upgrade() -> None:
    replace_views(
        lookup_policy=POLICY.format(second_factor_at="sessions.second_factor_at"),
        policy=POLICY.format(second_factor_at="live.session_second_factor_at"),
        columns=(epoch("sessions.second_factor_at"), "sessions.amr"),
    )
    if not is_sqlite():
        replace_functions()


def replace_functions() -> None:
    """Sessions that have called them keep them as compiled for fewer columns, until replaced."""
    connection = op.get_bind()
    for name in ("counterfoil_resolve_digests", "counterfoil_resolve"):
        definition = connection.scalar(text(f"SELECT pg_get_functiondef('{name}'::regproc)"))
        connection.exec_driver_sql(str(definition))


def downgrade() -> None:
    # PostgreSQL cannot remove columns from a view without dropping it, and with it what others were
    # granted. There they stay, and say nothing.
    replace_views(lookup_policy="", policy="", columns=None if is_sqlite() else NO_FACTORS)


def replace_views(*, lookup_policy: str, policy: str, columns: tuple[str, str] | None) -> None:
    if is_sqlite():
        for name in ("live_credentials", "live_access_tokens", "live_api_keys"):
            op.execute(f"DROP VIEW {name}")
    replace_access_tokens(lookup_policy, columns)
    replace_api_keys(NO_FACTORS if columns else None)
    shown = columns and ("live.session_second_factor_at", "live.session_amr")
    op.execute(
        VIEW.format(
            create=create_view(),
            access_tokens=access_tokens(policy, appended(shown, prefix="")),
            api_keys=api_keys(appended(shown, prefix="")),
        )
    )


def replace_access_tokens(policy: str, columns: tuple[str, str] | None) -> None:
    credential = ACCESS_TOKEN.format(
        issued_at=epoch("access_tokens.created_at"),
        expires_at=epoch("access_tokens.expires_at"),
        last_used_at=epoch("sessions.last_used_at"),
        session_expires_at=epoch("sessions.expires_at"),
    )
    replace_lookup_view(
        "live_access_tokens",
        credential=credential,
        policy=policy,
        confirmed_at=epoch("sessions.confirmed_at"),
        factors=appended(columns, prefix="session_"),
        source=ACCESS_TOKENS,
    )


def replace_api_keys(columns: tuple[str, str] | None) -> None:
    credential = API_KEY.format(
        issued_at=epoch("api_keys.created_at"),
        expires_at=epoch("api_keys.expires_at"),
        last_used_at=epoch("api_keys.last_used_at"),
        uuid=uuid(),
    )
    replace_lookup_view(
        "live_api_keys",
        credential=credential,
        policy="",
        confirmed_at="CAST(NULL AS FLOAT)",
        factors=appended(columns, prefix="session_"),
        source=API_KEYS,
    )


def replace_lookup_view(name: str, *, source: str, **parts: str) -> None:
    query = LOOKUP_VIEW.format(
        user_created_at=epoch("users.created_at"),
        user_updated_at=epoch("users.updated_at"),
        aggregate="group_concat" if is_sqlite() else "string_agg",
        looked_up_at=epoch(now()),
        source=source.format(now=now()),
        **parts,
    )
    op.execute(f"{create_view()} {name} AS {query}")


def create_view() -> str:
    return "CREATE VIEW" if is_sqlite() else "CREATE OR REPLACE VIEW"


def appended(columns: tuple[str, str] | None, *, prefix: str) -> str:
    if columns is None:
        return ""
    second_factor_at, amr = columns
    return f",\n  {second_factor_at} AS {prefix}second_factor_at,\n  {amr} AS {prefix}amr"


def access_tokens(policy: str, factors: str) -> str:
    """Tokens of the console work only in the console."""
    return credentials(
        kind="access_token",
        source="live_access_tokens",
        policy=policy,
        granted="",
        allowed=is_word_of("words.value", "live.scopes"),
        access_token_id="live.credential_id",
        api_key_id=f"CAST(NULL AS {uuid()})",
        factors=factors,
        where=f"WHERE live.session_kind = 'api'{unexpired('expires_at', 'session_expires_at')}",
    )


def api_keys(factors: str) -> str:
    """A key never has the scope `account`, and no role that it was not made with."""
    granted = find(between("live.granted_roles", "','"), between("roles.name", "','"))
    return credentials(
        kind="api_key",
        source="live_api_keys",
        policy="",
        granted=f"\n      AND {granted} > 0",
        allowed=f"words.value <> 'account' AND {is_word_of('words.value', 'live.scopes')}",
        access_token_id="CAST(NULL AS BIGINT)",
        api_key_id="live.credential_id",
        factors=factors,
        where=f"WHERE true{unexpired('expires_at')}",
    )


def credentials(*, policy: str, granted: str, allowed: str, **parts: str) -> str:
    of_role = {"words": words("roles.scopes"), "words_alias": words_alias(), "allowed": allowed}
    roles = ROLES.format(policy=policy)
    return CREDENTIALS.format(
        user_roles=array(roles),
        roles=array(HELD_ROLES.format(roles=roles, granted=granted, **of_role)),
        scopes=array(SCOPES.format(policy=policy, **of_role)),
        looked_up_at="live.looked_up_at" if is_sqlite() else statement_time(),
        **parts,
    )


def unexpired(*columns: str) -> str:
    """In a transaction that began earlier, PostgreSQL's now() would be in the past."""
    if is_sqlite():
        return ""
    later = (f"coalesce(live.{column}, 'infinity') > {statement_time()}" for column in columns)
    return "".join(f"\n  AND {condition}" for condition in later)


def statement_time() -> str:
    return "date_part('epoch', statement_timestamp())"


def array(query: str) -> str:
    """The values of a query, by code point: an array, or in SQLite a JSON array."""
    if is_sqlite():
        return f"({JSON_ARRAY.format(query=query)})"
    return f"ARRAY({ARRAY.format(query=query)})"


def words(scopes: str) -> str:
    """A table of the words of a text, with empty ones if there are several spaces in a row."""
    if is_sqlite():
        quoted = f"json_quote({scopes})"
        return f"""json_each('[' || replace({quoted}, ' ', '","') || ']')"""
    return f"unnest(string_to_array({scopes}, ' '))"


def words_alias() -> str:
    return "words" if is_sqlite() else "words(value)"


def is_word_of(word: str, scopes: str) -> str:
    """Whether the text has the word. One that is NULL has not been narrowed, and allows all."""
    found = find(between(scopes, "' '"), between(word, "' '"))
    return f"({scopes} IS NULL OR {found} > 0)"


def between(value: str, separator: str) -> str:
    return f"{separator} || {value} || {separator}"


def find(value: str, part: str) -> str:
    return f"instr({value}, {part})" if is_sqlite() else f"strpos({value}, {part})"


def uuid() -> str:
    return "CHAR(36)" if is_sqlite() else "UUID"


def is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def now() -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')" if is_sqlite() else "now()"


def epoch(moment: str) -> str:
    """Seconds since 1970, as clock.epoch_seconds has them when this was written."""
    if is_sqlite():
        return f"strftime('%s', {moment}) + (strftime('%f', {moment}) - strftime('%S', {moment}))"
    return f"date_part('epoch', {moment})"
