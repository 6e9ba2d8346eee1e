"""The networks that a user has logged in from before, stored as digests."""

from hashlib import sha256

from sqlalchemy.orm import Session

from database import queries
from database.models import User

_MOST_PER_USER = 20


def is_known(user: User, network: str | None) -> bool:
    """Whether the user has logged in from there. Wants the user with known addresses."""
    return network is not None and _digest(user.id, network) in _digests(user)


def remember(db: Session, user: User, network: str | None) -> None:
    """The user has just logged in from there. Beyond twenty networks the oldest one goes.

    Wants the user with known addresses.
    """
    if network is None:
        return
    digest, known = _digest(user.id, network), _digests(user)
    if len(known) < _MOST_PER_USER or digest in known:
        queries.known_addresses.add(db, user_id=user.id, digest=digest)
    else:
        queries.known_addresses.replace_oldest(db, user_id=user.id, digest=digest)


def remember_first(db: Session, user_id: int, network: str | None) -> None:
    """The user has just registered there."""
    if network is not None:
        queries.known_addresses.add(db, user_id=user_id, digest=_digest(user_id, network))


def _digests(user: User) -> set[bytes]:
    return {known.address_digest for known in user.known_addresses}


def _digest(user_id: int, network: str) -> bytes:
    return sha256("\x00".join(("known", str(user_id), network)).encode()).digest()
