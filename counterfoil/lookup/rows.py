"""Reads a row of the lookup, including times that Python's datetime cannot represent.

PostgreSQL has 'infinity' and the year 20000; SQLite stores any value in a column of times.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from counterfoil.identity import LiveCredential

# Whole seconds: as a float, the last microsecond of the year 9999 would be rounded up.
FIRST = datetime.min.replace(tzinfo=UTC).timestamp()
LAST = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()

_REQUIRED = ("issued_at", "user_created_at", "user_updated_at", "looked_up_at")
_OPTIONAL = ("last_used_at", "session_expires_at", "session_confirmed_at", "expires_at")
_moments_of = attrgetter(*_REQUIRED, *_OPTIONAL)


def read(row: Sequence[Any]) -> LiveCredential:
    """A credential whose times are all within the range of datetime."""
    found = LiveCredential(bytes(row[0]), *row[1:])
    moments = _moments_of(found)
    if None not in moments and min(moments) >= FIRST and max(moments) <= LAST:
        # By itself, because most sessions have none, and all others are usually there.
        second_factor_at = found.session_second_factor_at
        if second_factor_at is None or FIRST <= second_factor_at <= LAST:
            return found
    return _bound(found)


def _bound(found: LiveCredential) -> LiveCredential:
    # SQLite returns NULL for text that is not a time.
    changes: dict[str, Any] = {name: _bounded(getattr(found, name) or FIRST) for name in _REQUIRED}
    for name in (*_OPTIONAL, "session_second_factor_at"):
        moment = getattr(found, name)
        changes[name] = None if moment is None else _bounded(moment)
    if found.expires_at is not None and found.expires_at > LAST:
        changes["expires_at"] = None
    return found._replace(**changes)


def _bounded(moment: float) -> float:
    return min(max(moment, FIRST), LAST)
