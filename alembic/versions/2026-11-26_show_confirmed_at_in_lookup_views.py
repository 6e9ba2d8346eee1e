"""Add to the lookup views when the password of a session's user was last confirmed.

It is NULL for sessions that are older than the column, and for API keys.
"""

from alembic import op

revision = "0017_confirmed_sessions"
down_revision = "0016_refresh_parents"
branch_labels = None
depends_on = None

VIEW = """
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
    WHERE user_roles.user_id = users.id
  ) AS grants,
  {looked_up_at} AS looked_up_at{confirmed_at}
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


def upgrade() -> None:
    replace_views(with_confirmation=True)


def downgrade() -> None:
    if not is_sqlite():
        # CREATE OR REPLACE VIEW cannot remove a column.
        op.execute("DROP VIEW live_access_tokens")
        op.execute("DROP VIEW live_api_keys")
    replace_views(with_confirmation=False)


def replace_views(*, with_confirmation: bool) -> None:
    replace_view(
        "live_access_tokens",
        ACCESS_TOKEN.format(
            issued_at=epoch("access_tokens.created_at"),
            expires_at=epoch("access_tokens.expires_at"),
            last_used_at=epoch("sessions.last_used_at"),
            session_expires_at=epoch("sessions.expires_at"),
        ),
        ACCESS_TOKENS,
        epoch("sessions.confirmed_at") if with_confirmation else None,
    )
    replace_view(
        "live_api_keys",
        API_KEY.format(
            issued_at=epoch("api_keys.created_at"),
            expires_at=epoch("api_keys.expires_at"),
            last_used_at=epoch("api_keys.last_used_at"),
            uuid="CHAR(36)" if is_sqlite() else "UUID",
        ),
        API_KEYS,
        "CAST(NULL AS FLOAT)" if with_confirmation else None,
    )


def replace_view(name: str, credential: str, source: str, confirmed_at: str | None) -> None:
    if is_sqlite():
        op.execute(f"DROP VIEW {name}")
    create = "CREATE VIEW" if is_sqlite() else "CREATE OR REPLACE VIEW"
    query = VIEW.format(
        credential=credential,
        user_created_at=epoch("users.created_at"),
        user_updated_at=epoch("users.updated_at"),
        aggregate="group_concat" if is_sqlite() else "string_agg",
        looked_up_at=epoch(now()),
        confirmed_at=f",\n  {confirmed_at} AS session_confirmed_at" if confirmed_at else "",
        source=source.format(now=now()),
    )
    op.execute(f"{create} {name} AS {query}")


def is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def now() -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')" if is_sqlite() else "now()"


def epoch(moment: str) -> str:
    """Seconds since 1970, as clock.epoch_seconds has them when this was written."""
    if is_sqlite():
        return f"strftime('%s', {moment}) + (strftime('%f', {moment}) - strftime('%S', {moment}))"
    return f"date_part('epoch', {moment})"
