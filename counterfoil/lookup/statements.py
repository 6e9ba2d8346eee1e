"""The lookup in SQL: one SELECT from a view that the service's migrations create.

The views `live_access_tokens` and `live_api_keys` say what "live" means and join what an identity
is made of; here only the digests restrict them.
"""

from counterfoil.identity import CredentialKind, LiveCredential

VIEWS = {
    CredentialKind.ACCESS_TOKEN: "live_access_tokens",
    CredentialKind.API_KEY: "live_api_keys",
}
_COLUMNS = ", ".join(LiveCredential._fields)
_TEXTS = frozenset(
    {"scopes", "session_id", "client_id", "session_kind", "session_amr", "granted_roles"}
    | {"grants", "email", "username", "name", "surname", "website"}
)
# SQLite stores bytes, too, where they are written into a column of text.
_SQLITE_COLUMNS = ", ".join(
    f"CAST({name} AS TEXT)" if name in _TEXTS else name for name in LiveCredential._fields
)


def postgresql(kind: CredentialKind) -> str:
    """The lookup as PostgreSQL prepares it: `$1` is an array of digests."""
    return f"{_select(_COLUMNS, kind)} = ANY ($1)"


def sqlite(kind: CredentialKind, count: int) -> str:
    """The lookup of so many digests."""
    return f"{_select(_SQLITE_COLUMNS, kind)} IN ({', '.join('?' * count)})"


def _select(columns: str, kind: CredentialKind) -> str:
    # No part of this comes from a request.
    return f"SELECT {columns} FROM {VIEWS[kind]} WHERE digest"  # noqa: S608
