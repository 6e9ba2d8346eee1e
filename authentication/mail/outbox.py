"""Writes mails to the outbox, in the transaction of what they tell of.

Who gets a mail, and whether anybody does, is decided when it is sent. So a request costs the same
whether there is an account with an address or not.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.emails import LoginName, normalise_stored
from authentication.mail.kinds import VOIDED_BY_CHANGES, LinkKind, MailKind
from authentication.mail.settings import MailSettings
from authentication.throttling import counting, limits
from authentication.throttling.counting import Exceeded
from counterfoil import tokens
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import MailToken, User

_ADDED = "mail_added"


class Outbox:
    """Adds mails. The worker is told once their transaction is committed."""

    def __init__(self, settings: MailSettings, *, is_limited: bool = True) -> None:
        self.settings = settings
        self._is_limited = is_limited

    def add_reset(self, db: Session, name: LoginName, *, origin: Origin) -> str | list[Exceeded]:
        """A mail to the owner of this address, if there is one. Returns its transaction id.

        Returns what was exceeded if the client asks too often. If too many mails were asked for
        the recipient, the row is there all the same, and is removed in place of being sent.
        """
        exceeded = self._count_client(db, origin)
        if exceeded:
            return exceeded
        address = name.normalised
        is_sent = not self._count_recipient(db, address, origin)
        queries.outbox.supersede(db, MailKind.RESET, address=address, applies=is_sent)
        queries.mail_tokens.void_of_address(db, address, LinkKind.RESET, applies=is_sent)
        text, data = _begin_transaction(origin)
        data |= name.spellings()
        self._add(db, MailKind.RESET, address, origin, data, is_throttled=not is_sent)
        return text

    def add_reset_for(self, db: Session, user: User, *, origin: Origin) -> list[Exceeded]:
        """A mail that an administrator asks for. Returns what was exceeded, and then adds none."""
        name = LoginName.parse(user.email)
        address = name.normalised
        exceeded = self._count_recipient(db, address, origin)
        if not exceeded:
            queries.outbox.supersede(db, MailKind.RESET, address=address)
            queries.mail_tokens.void_of_address(db, address, LinkKind.RESET)
            data = {"by_administrator": True, **name.spellings()}
            self._add(db, MailKind.RESET, address, origin, data)
        return exceeded

    def add_registration(
        self, db: Session, address: str, account: dict[str, Any], *, origin: Origin
    ) -> str:
        """A mail by which an account begins. Returns its transaction id.

        A recipient for whom there were too many gets none, and the account is not kept.
        """
        is_sent = not self._count_recipient(db, address, origin)
        queries.outbox.supersede(db, MailKind.REGISTER, address=address, applies=is_sent)
        queries.mail_tokens.void_of_address(db, address, LinkKind.REGISTER, applies=is_sent)
        text, data = _begin_transaction(origin)
        data |= {"account": account} if is_sent else {}
        self._add(db, MailKind.REGISTER, address, origin, data, is_throttled=not is_sent)
        return text

    def add_verification(self, db: Session, user: User, *, origin: Origin) -> str | list[Exceeded]:
        """A mail to the present address of a user, who must be locked. Returns a transaction id."""
        exceeded = self._count_recipient(db, user.email.lower(), origin)
        if exceeded:
            return exceeded
        void(db, user.id, [LinkKind.VERIFY])
        text, data = _begin_transaction(origin)
        self._add(db, MailKind.VERIFY, user.email.lower(), origin, data, user.id)
        return text

    def add_change(
        self, db: Session, user: User, address: str, *, origin: Origin
    ) -> str | list[Exceeded]:
        """A mail to the address that a user, who must be locked, wants to have."""
        exceeded = self._count_recipient(db, address, origin)
        if exceeded:
            return exceeded
        void(db, user.id, [LinkKind.CHANGE])
        ends_at = clock.read(db) + timedelta(seconds=self.settings.verify_link_seconds)
        queries.users.set_pending_email(db, user, address, expires_at=ends_at)
        text, data = _begin_transaction(origin)
        # Revoking all sessions also ends what was begun in one of them.
        data["epoch"] = user.session_epoch
        self._add(db, MailKind.CHANGE, address, origin, data, user.id)
        return text

    def add_notice(
        self,
        db: Session,
        kind: MailKind,
        user_id: int,
        address: str,
        *,
        origin: Origin,
        data: dict[str, Any],
    ) -> None:
        """Tell a user what happened, unless notices of this kind are off or were too many today.

        That the address has changed is always told: what a thief did before must not prevent it.
        """
        if kind not in self.settings.mail_notices:
            return
        if kind is not MailKind.EMAIL_CHANGED and self._is_limited:
            key = limits.for_notices(kind, user_id)
            counted = queries.throttle_counters.increment(db, [key])[key.digest]
            if counted.attempts > self.settings.notices_per_day:
                return
        self._add(db, kind, address, origin, {**_place(origin), **data}, user_id)

    def _add(
        self,
        db: Session,
        kind: MailKind,
        address: str,
        origin: Origin,
        data: dict[str, Any],
        user_id: int | None = None,
        *,
        is_throttled: bool = False,
    ) -> None:
        queries.outbox.add(
            db,
            kind=kind,
            address=address,
            locale=origin.language,
            data=data,
            user_id=user_id,
            is_throttled=is_throttled,
        )
        db.info[_ADDED] = True

    def _count_client(self, db: Session, origin: Origin) -> list[Exceeded]:
        counted = limits.for_mail_requests(self.settings, origin) if self._is_limited else []
        return counting.count(db, counted, origin=origin) if counted else []

    def _count_recipient(self, db: Session, address: str, origin: Origin) -> list[Exceeded]:
        """Counts a mail to an address, in the same time whether or not a user has the address.

        Nor does the time tell whether a limit is exceeded.
        """
        counted = limits.for_recipients(self.settings, address) if self._is_limited else []
        if not counted:
            return []
        return counting.count(db, counted, origin=origin, in_equal_time=True)


def void(db: Session, user_id: int, kinds: Sequence[LinkKind]) -> None:
    """Void the links of these kinds of a user, who must be locked, sent or not."""
    for kind in kinds:
        queries.outbox.supersede(db, kind, user_id=user_id)
    queries.mail_tokens.void_of_user(db, user_id, kinds)


def void_all(db: Session, user: User) -> None:
    """Void every link of a user, and what is pending: the address or password has changed."""
    # Rows of the outbox before tokens, as everywhere.
    queries.outbox.supersede(db, MailKind.RESET, address=normalise_stored(user.email))
    void(db, user.id, VOIDED_BY_CHANGES)
    if user.pending_email is not None:
        queries.users.set_pending_email(db, user, None)


def void_later_changes(db: Session, user: User, token: MailToken) -> None:
    """Void the links that take back later changes than the one that this token took back.

    Those of earlier ones stay: else a thief who changes the address twice could take the second
    change back, and the owner could not take back the first any more.
    """
    first = changed_by(token)
    queries.outbox.supersede(db, MailKind.EMAIL_CHANGED, user_id=user.id, after_id=first)
    links = queries.mail_tokens.list_unused(db, user.id, LinkKind.REVERT)
    queries.mail_tokens.void(db, [one.id for one in links if changed_by(one) >= first])


def changed_by(token: MailToken) -> int:
    """The number of the mail that tells of the change that a token takes back."""
    return int((token.data or {}).get("mail", 0))


def take_added(db: Session) -> bool:
    """Whether mails were added since this was last asked, for the code that wakes the worker."""
    return bool(db.info.pop(_ADDED, False))


def _begin_transaction(origin: Origin) -> tuple[str, dict[str, Any]]:
    new = tokens.create(TokenKind.TRANSACTION)
    return new.text, {"transaction": new.digest.hex(), **_place(origin)}


def _place(origin: Origin) -> dict[str, Any]:
    return {} if origin.ip is None else {"ip": origin.ip}
