"""Finds what a link or a code stands for, and uses it, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.emails import normalise_stored
from authentication.errors import InvalidMailToken
from authentication.mail import links
from authentication.mail.kinds import LinkKind
from authentication.service import Service
from counterfoil import tokens
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import MailToken, User
from database.queries.mail_tokens import CodeCheck


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client sends: the token of a link, or a code with the transaction it belongs to."""

    token: str | None = None
    transaction: str | None = None
    code: str | None = None


class Found(NamedTuple):
    """A token that can be used, and its user; none for a registration."""

    token: MailToken
    user: User | None


async def find(
    service: Service, proof: Proof, kinds: Sequence[LinkKind], *, origin: Origin
) -> Found:
    """What can be used now. A wrong code counts; the link stays usable.

    Raises InvalidMailToken, the same for what is unknown, used, expired or void; TooManyAttempts.
    """
    limit = service.mailing.settings.mail_misses_per_minute
    service.unknown_tokens.reject_flood("mail", origin, limit=limit)
    found = (
        await _find_by_link(service, proof) if proof.token else await _find_by_code(service, proof)
    )
    if found is None or found.token.kind not in kinds:
        service.unknown_tokens.count_in("mail", origin, limit=limit)
        raise InvalidMailToken
    return found


async def _find_by_link(service: Service, proof: Proof) -> Found | None:
    text = tokens.strip(proof.token or "")
    if tokens.kind_of(text) is not TokenKind.MAIL:
        return None

    def look_up(db: Session) -> Found | None:
        token = queries.mail_tokens.find_usable(db, tokens.digest(text))
        return _with_user(db, token) if token is not None else None

    return await service.database.run(look_up, read_only=True, is_untrusted=True)


async def _find_by_code(service: Service, proof: Proof) -> Found | None:
    """The attempt is counted, and that is committed, before the code is compared.

    An unknown transaction is looked up, and causes no transaction that writes.
    """
    text, code = tokens.strip(proof.transaction or ""), proof.code or ""
    if tokens.kind_of(text) is not TokenKind.TRANSACTION:
        return None
    digest = tokens.digest(text)
    check = CodeCheck(digest, links.CODE_ATTEMPTS, links.CODE_SECONDS)
    is_known = await service.database.run(
        lambda db: queries.mail_tokens.has_candidates(db, check), read_only=True, is_untrusted=True
    )
    if not is_known:
        return None
    candidates = await service.database.run(
        lambda db: queries.mail_tokens.count_attempt(db, check), is_untrusted=True
    )
    right = [one for one in candidates if links.is_code(code, one.code_digest, digest)]
    if not right:
        return None
    return await service.database.run(
        lambda db: _with_user(db, right[0]), read_only=True, is_untrusted=True
    )


def _with_user(db: Session, token: MailToken) -> Found | None:
    if token.user_id is None:
        return Found(token, None)
    user = queries.users.find(db, token.user_id)
    return Found(token, user) if user is not None and _is_bound(db, token, user) else None


def use(db: Session, token: MailToken) -> User:
    """Mark a token of a user as used. Returns the user, locked. Raises InvalidMailToken."""
    user = queries.users.lock(db, token.user_id) if token.user_id is not None else None
    if user is None or not _is_bound(db, token, user):
        raise InvalidMailToken
    # A request for another mail locks these, which no user holds, before it voids tokens.
    queries.outbox.lock_unsent(db, LinkKind.RESET, address=normalise_stored(user.email))
    if not queries.mail_tokens.use(db, token.id):
        raise InvalidMailToken
    return user


def _is_bound(db: Session, token: MailToken, user: User) -> bool:
    """Whether the user is still the one for whom the token was made, at the same address.

    The address may have been changed by SQL, which voids nothing by itself.
    """
    if not user.is_active:
        return False
    if token.kind == LinkKind.REVERT:
        return True
    if user.email.lower() != (token.current_address or "").lower():
        return False
    if token.kind != LinkKind.CHANGE:
        return True
    ends_at = user.pending_email_expires_at
    is_pending = ends_at is not None and ends_at > clock.read(db)
    is_of_epoch = (token.data or {}).get("epoch") == user.session_epoch
    return is_pending and is_of_epoch and user.pending_email == token.address
