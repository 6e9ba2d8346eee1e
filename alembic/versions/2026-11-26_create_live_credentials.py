"""Create the contract for programs in any language that judge tokens by SQL.

The view `live_credentials` shows each live access token and API key by its digest, with what it may
do at this moment. It reads the views of the lookup, which alone say what is live. On PostgreSQL,
two functions read it for roles that have no right on any table.

A later migration may append columns to the view by CREATE OR REPLACE VIEW, and the functions then
return them as well. It does not drop, rename or reorder any, and it replaces the functions without
dropping them, because their grants would be lost.
"""

from alembic import op
from sqlalchemy import text

revision = "0018_live_credentials"
down_revision = "0018_prune_large_tables"
branch_labels = None
depends_on = None

VIEW = """
CREATE VIEW live_credentials AS
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
  {looked_up_at} AS looked_up_at
FROM {source} AS live
{where}"""

ROLES = """SELECT roles.name AS value
    FROM user_roles JOIN roles ON roles.id = user_roles.role_id
    WHERE user_roles.user_id = live.user_id"""

HELD_ROLES = """{roles}{granted}
      AND NOT EXISTS (
        SELECT 1 FROM {words} AS {words_alias}
        WHERE words.value <> '' AND NOT ({allowed})
      )"""

SCOPES = """SELECT words.value AS value
    FROM user_roles JOIN roles ON roles.id = user_roles.role_id CROSS JOIN {words} AS {words_alias}
    WHERE user_roles.user_id = live.user_id AND words.value <> '' AND {allowed}
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

# One query for each digest: for an array, PostgreSQL would prefer other indexes of a small table
# to the unique one, and keep that plan when the table grows.
DIGESTS_FUNCTION = """
CREATE FUNCTION counterfoil_resolve_digests(digests bytea[]) RETURNS SETOF live_credentials
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 1
SET search_path = {schema}, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
  sent bytea;
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = 'a standby lags behind revocations',
      HINT = 'Connect to the primary.';
  END IF;
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE invalid_transaction_state USING
      MESSAGE = 'a snapshot of this isolation level may be older than a revocation',
      HINT = 'Judge tokens in READ COMMITTED transactions.';
  END IF;
  FOR sent IN SELECT DISTINCT one FROM unnest(digests) AS one LOOP
    RETURN QUERY SELECT * FROM live_credentials WHERE digest = sent;
  END LOOP;
END
$$
"""

# Text in another form was never issued. The checksum is not verified, because nobody can make a
# token whose digest is stored.
TOKEN_FUNCTION = """
CREATE FUNCTION counterfoil_resolve(token text) RETURNS SETOF live_credentials
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 1
SET search_path = {schema}, pg_temp
AS $$
BEGIN
  IF octet_length(token) <> 53 THEN
    RETURN;
  END IF;
  IF token COLLATE "C" !~ '^cf[ak]_[A-Za-z0-9_-]{{43}}[A-Za-z0-9]{{6}}$' THEN
    RETURN;
  END IF;
  RETURN QUERY
    SELECT * FROM counterfoil_resolve_digests(ARRAY[sha256(convert_to(token, 'UTF8'))])
    WHERE kind = CASE left(token, 4) WHEN 'cfa_' THEN 'access_token' ELSE 'api_key' END;
END
$$
"""


def upgrade() -> None:
    op.execute(VIEW.format(access_tokens=access_tokens(), api_keys=api_keys()))
    if is_sqlite():
        return
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for name, function in (
        ("counterfoil_resolve_digests", DIGESTS_FUNCTION),
        ("counterfoil_resolve", TOKEN_FUNCTION),
    ):
        op.execute(function.format(schema=schema))
        op.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")


def downgrade() -> None:
    if not is_sqlite():
        op.execute("DROP FUNCTION counterfoil_resolve")
        op.execute("DROP FUNCTION counterfoil_resolve_digests")
    op.execute("DROP VIEW live_credentials")


def access_tokens() -> str:
    """Tokens of the console work only in the console."""
    return credentials(
        kind="access_token",
        source="live_access_tokens",
        granted="",
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
        granted=f"\n      AND {granted} > 0",
        allowed=f"words.value <> 'account' AND {is_word_of('words.value', 'live.scopes')}",
        access_token_id="CAST(NULL AS BIGINT)",
        api_key_id="live.credential_id",
        where=f"WHERE true{unexpired('expires_at')}",
    )


def credentials(*, granted: str, allowed: str, **parts: str) -> str:
    of_role = {"words": words("roles.scopes"), "words_alias": words_alias(), "allowed": allowed}
    return CREDENTIALS.format(
        user_roles=array(ROLES),
        roles=array(HELD_ROLES.format(roles=ROLES, granted=granted, **of_role)),
        scopes=array(SCOPES.format(**of_role)),
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


def between(text: str, separator: str) -> str:
    return f"{separator} || {text} || {separator}"


def find(text: str, part: str) -> str:
    return f"instr({text}, {part})" if is_sqlite() else f"strpos({text}, {part})"


def uuid() -> str:
    return "CHAR(36)" if is_sqlite() else "UUID"


def is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"
