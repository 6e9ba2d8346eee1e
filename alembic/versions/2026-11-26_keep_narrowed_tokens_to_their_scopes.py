"""Let a token that was narrowed have no role that gives no scopes.

Such a role only names its users, and a token that was narrowed does not act in it. The view is
replaced in place, so its grants stay. API keys have the roles that were recorded with them.
"""

from alembic import op

revision = "0027_narrowed_roles"
down_revision = "0026_beats"
branch_labels = None
depends_on = None

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

# One condition, so that the plan has no join more than before.
POLICY = "\n    AND (live.session_second_factor_at IS NOT NULL OR NOT roles.requires_second_factor)"
FACTORS = """,
  live.session_second_factor_at AS second_factor_at,
  live.session_amr AS amr"""
GIVES_SCOPES = "\n      AND (live.scopes IS NULL OR trim(roles.scopes) <> '')"


def upgrade() -> None:
    replace_view(granted=GIVES_SCOPES)


def downgrade() -> None:
    replace_view(granted="")


def replace_view(*, granted: str) -> None:
    if is_sqlite():
        op.execute("DROP VIEW live_credentials")
    create = "CREATE VIEW" if is_sqlite() else "CREATE OR REPLACE VIEW"
    op.execute(
        VIEW.format(create=create, access_tokens=access_tokens(granted), api_keys=api_keys())
    )


def access_tokens(granted: str) -> str:
    """Tokens of the console work only in the console."""
    return credentials(
        kind="access_token",
        source="live_access_tokens",
        policy=POLICY,
        granted=granted,
        allowed=is_word_of("words.value", "live.scopes"),
        access_token_id="live.credential_id",
        api_key_id=f"CAST(NULL AS {uuid()})",
        where=f"WHERE live.session_kind = 'api'{unexpired('expires_at', 'session_expires_at')}",
    )


def api_keys() -> str:
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
        factors=FACTORS,
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
