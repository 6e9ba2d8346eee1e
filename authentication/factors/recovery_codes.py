"""Recovery codes, for users who have lost their second factor. Each works once."""

import secrets
from base64 import b32encode
from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy.orm import Session

from database import queries

COUNT = 10
# 24 characters in base 32. A plain digest of so many random bits suffices (ASVS 5.0, 6.5.2).
_BYTES = 15
_GROUP = 4
_LENGTH = 24


def replace_all(db: Session, user_id: int) -> Sequence[str]:
    """Ten new codes of a user, who must be locked. They are shown this once; old ones are void."""
    codes = [b32encode(secrets.token_bytes(_BYTES)).decode() for _ in range(COUNT)]
    queries.recovery_codes.replace_all(db, user_id, [_digest(code) for code in codes])
    return [_in_groups(code) for code in codes]


def create_if_none(db: Session, user_id: int) -> Sequence[str]:
    """The first ten codes of a user, who must be locked. None if some are left."""
    return [] if queries.recovery_codes.count_unused(db, user_id) else replace_all(db, user_id)


def use(db: Session, user_id: int, code: str) -> bool:
    """Use a code up. False if it is not one of this user's, or was used before."""
    typed = code.replace("-", "").replace(" ", "").upper()
    if len(typed) != _LENGTH or not typed.isascii():
        return False
    return queries.recovery_codes.use(db, user_id, _digest(typed))


def _digest(code: str) -> bytes:
    return sha256(code.encode()).digest()


def _in_groups(code: str) -> str:
    return "-".join(code[i : i + _GROUP] for i in range(0, len(code), _GROUP))
