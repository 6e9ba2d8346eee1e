"""All SQL, in one module per noun: `queries.sessions.revoke(db, ...)`."""

from database.queries import (
    access_tokens,
    api_keys,
    audit_events,
    bulk,
    known_addresses,
    last_used,
    live,
    pruning,
    refresh_tokens,
    rejected_tokens,
    session_search,
    sessions,
    statistics,
    throttle_counters,
    upsert,
    users,
)

__all__ = [
    "access_tokens",
    "api_keys",
    "audit_events",
    "bulk",
    "known_addresses",
    "last_used",
    "live",
    "pruning",
    "refresh_tokens",
    "rejected_tokens",
    "session_search",
    "sessions",
    "statistics",
    "throttle_counters",
    "upsert",
    "users",
]
