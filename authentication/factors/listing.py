"""Lists the second factors of a user."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from database import queries
from database.queries.factors import Listed


@dataclass(frozen=True, slots=True)
class Factors:
    """Those that logins ask for, oldest first, and how many codes are left in place of them."""

    factors: Sequence[Listed]
    recovery_codes_left: int


def read(db: Session, user_id: int) -> Factors:
    """The factors of a user."""
    left = queries.factors.count(db, user_id).recovery_codes
    return Factors(queries.factors.list_of_user(db, user_id), left)
