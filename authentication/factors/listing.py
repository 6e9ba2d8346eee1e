"""Lists the second factors of a user."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from database import queries
from database.queries.factors import Listed


@dataclass(frozen=True, slots=True)
class Factors:
    """Those that logins ask for, oldest first, and how many codes are left in place of them.

    `is_missing` if there are none and a role of the user gives nothing without one.
    """

    factors: Sequence[Listed]
    recovery_codes_left: int
    is_missing: bool


def read(db: Session, user_id: int) -> Factors:
    """The factors of a user."""
    factors = queries.factors.list_of_user(db, user_id)
    left = queries.factors.count(db, user_id).recovery_codes
    is_missing = not factors and queries.users.requires_second_factor(db, user_id)
    return Factors(factors, left, is_missing)
