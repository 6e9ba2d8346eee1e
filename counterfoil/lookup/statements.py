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


def postgresql(kind: CredentialKind) -> str:
    """The lookup as PostgreSQL prepares it: `$1` is an array of digests."""
    return f"{_select(kind)} ANY ($1)"


def sqlite(kind: CredentialKind, count: int) -> str:
    """The lookup of so many digests."""
    return f"{_select(kind, 'IN')} ({', '.join('?' * count)})"


def _select(kind: CredentialKind, operator: str = "=") -> str:
    # No part of this comes from a request.
    return f"SELECT {_COLUMNS} FROM {VIEWS[kind]} WHERE digest {operator}"  # noqa: S608
