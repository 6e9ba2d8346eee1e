"""Ids of sessions: UUIDs that begin with the time (version 7, RFC 9562).

Rows of one time are then next to each other in the index, so that a login changes fewer pages.
"""

import secrets
import time
from uuid import UUID

_VERSION = 7 << 76
_VARIANT = 2 << 62
_RANDOM = (1 << 80) - 1 - (0xF << 76) - (3 << 62)


def uuid7() -> UUID:
    """A UUID of the current millisecond and 74 random bits.

    Python has `uuid.uuid7` from version 3.14 on.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(80) & _RANDOM
    return UUID(int=milliseconds << 80 | _VERSION | _VARIANT | random)
