"""Seals the secrets of authenticator apps for their rows, and opens them."""

from collections.abc import Iterator
from uuid import UUID

from authentication.factors.sealing import CannotOpen, Sealer
from database import queries
from database.engine.session import Database
from database.models import TotpFactor

_BATCH = 500


def seal(sealer: Sealer, secret: bytes, *, user_id: int, factor_id: UUID) -> bytes:
    """The secret as it is stored."""
    return sealer.seal(secret, context=_context(user_id, factor_id))


def open_secret(sealer: Sealer, factor: TotpFactor) -> bytes:
    """The secret of an app. Raises CannotOpen."""
    return sealer.open(factor.secret_sealed, context=_context(factor.user_id, factor.id))


def rotate(database: Database, sealer: Sealer) -> Iterator[tuple[int, int]]:
    """Seal with the first key what another one has sealed, in batches.

    Yields how many of each batch were sealed again, and how many no key opens.
    """
    after: UUID | None = None
    while True:
        with database.transaction() as db:
            batch = queries.totp_factors.list_sealed(db, after=after, limit=_BATCH)
            outcomes = [_seal_again(sealer, factor) for factor in batch]
            after = batch[-1].id if batch else None
        if after is None:
            return
        yield outcomes.count(True), outcomes.count(None)


def _seal_again(sealer: Sealer, factor: TotpFactor) -> bool | None:
    """Whether that was needed. None if no key opens it."""
    context = _context(factor.user_id, factor.id)
    if sealer.is_by_first(factor.secret_sealed, context=context):
        return False
    try:
        secret = sealer.open(factor.secret_sealed, context=context)
    except CannotOpen:
        return None
    factor.secret_sealed = sealer.seal(secret, context=context)
    return True


def _context(user_id: int, factor_id: UUID) -> str:
    return f"totp {user_id} {factor_id}"
