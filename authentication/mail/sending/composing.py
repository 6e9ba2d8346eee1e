"""Decides who gets a mail of the outbox, and makes its token: when it is sent, and not before.

So no row holds a link, and a link that is sent once more is another one. A request that asks again
or voids links either finds the token that is made here, or has superseded the mail before.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import names
from authentication.audit import Event, Origin
from authentication.emails import normalise_stored
from authentication.mail import links
from authentication.mail.kinds import LinkKind, MailKind
from authentication.mail.links import Links
from authentication.mail.sending.letters import Letter
from authentication.mail.settings import MailSettings
from counterfoil import tokens
from counterfoil.tokens import TokenKind
from database import clock, queries
from database.models import OutgoingMail, User

_MINUTE = 60
_HOUR = 3600


class Composer:
    """Composes the mails of the outbox."""

    def __init__(self, settings: MailSettings, links: Links) -> None:
        self._settings = settings
        self._links = links
        self._of_kind: dict[str, Callable[[Session, OutgoingMail], Letter | None]] = {
            MailKind.RESET: self._reset,
            MailKind.VERIFY: self._verify,
            MailKind.CHANGE: self._change,
            MailKind.REGISTER: self._register,
            MailKind.EMAIL_CHANGED: self._email_changed,
        }

    def compose(self, db: Session, mail: OutgoingMail) -> Letter | None:
        """The letter, with its token stored. None if nobody is to get it.

        The user is locked before the mail, as everywhere: see credentials/actor.py.
        """
        compose = self._of_kind.get(mail.kind, self._notice)
        return compose(db, mail)

    def _reset(self, db: Session, mail: OutgoingMail) -> Letter | None:
        user = _owner(db, mail)
        if user is None or not user.is_active or not queries.outbox.lock_leased(db, mail):
            return None
        by_administrator = mail.data.get("by_administrator")
        if not by_administrator and _is_service_account(db, user):
            return None
        if mail.attempts == 1 and not by_administrator:
            origin = Origin(ip=mail.data.get("ip"))
            audit.record(db, Event.RESET_REQUESTED, origin=origin, subject=audit.user(user.id))
        return self._with_link(db, mail, LinkKind.RESET, user, user.email)

    def _verify(self, db: Session, mail: OutgoingMail) -> Letter | None:
        user = _active_user(db, mail)
        if (
            user is None
            or user.is_email_verified
            or user.email.lower() != mail.address
            or not queries.outbox.lock_leased(db, mail)
        ):
            return None
        return self._with_link(db, mail, LinkKind.VERIFY, user, user.email)

    def _change(self, db: Session, mail: OutgoingMail) -> Letter | None:
        """To the new address; or, if that is another user's, a warning to them."""
        user = _active_user(db, mail)
        if user is None or user.pending_email != mail.address:
            return None
        if letter := self._taken(db, mail, besides=user.id):
            return letter
        if _is_kept(db, mail, besides=user.id) or not queries.outbox.lock_leased(db, mail):
            return None
        return self._with_link(db, mail, LinkKind.CHANGE, user, mail.address)

    def _register(self, db: Session, mail: OutgoingMail) -> Letter | None:
        """To the address; or, if it is a user's, a reminder to them."""
        if letter := self._taken(db, mail):
            return letter
        if _is_kept(db, mail) or not queries.outbox.lock_leased(db, mail):
            return None
        return self._with_link(db, mail, LinkKind.REGISTER, None, mail.address)

    def _taken(
        self, db: Session, mail: OutgoingMail, *, besides: int | None = None
    ) -> Letter | None:
        owner = queries.users.hold_by_email(db, mail.address)
        if owner is None or owner.id == besides or not queries.outbox.lock_leased(db, mail):
            return None
        says = {"link": self._links.to_forgotten_password, **_place(mail)}
        return Letter("address_taken", owner.email, mail.locale, says)

    def _email_changed(self, db: Session, mail: OutgoingMail) -> Letter | None:
        """To the old address, with a link that takes the change back.

        Without it, if the old address was never verified: it may be a stranger's, by a misspelling.
        """
        user = _active_user(db, mail)
        if user is None or not queries.outbox.lock_leased(db, mail):
            return None
        if not mail.data.get("was_verified"):
            return Letter(mail.kind, mail.address, mail.locale, {"link": None, **_place(mail)})
        return self._with_link(db, mail, LinkKind.REVERT, user, mail.address)

    def _notice(self, db: Session, mail: OutgoingMail) -> Letter | None:
        if _active_user(db, mail) is None or not queries.outbox.lock_leased(db, mail):
            return None
        shown = {name: mail.data.get(name, "") for name in ("name", "ends")}
        says = {"link": self._links.to_forgotten_password, **shown, **_place(mail)}
        return Letter(mail.kind, mail.address, mail.locale, says)

    def _with_link(
        self, db: Session, mail: OutgoingMail, kind: LinkKind, user: User | None, address: str
    ) -> Letter:
        transaction = mail.data.get("transaction")
        new, now = tokens.create(TokenKind.MAIL), clock.read(db)
        seconds = self._settings.lifetime_seconds(kind)
        code = links.create_code() if transaction else None
        digest = bytes.fromhex(transaction) if transaction else None
        queries.mail_tokens.add(
            db,
            kind=kind,
            token_digest=new.digest,
            transaction_digest=digest,
            code_digest=links.code_digest(code, digest) if code and digest else None,
            user_id=user.id if user else None,
            # As a request for another mail has it, which voids this.
            address=mail.address.lower(),
            current_address=user.email if user else None,
            data=_kept(mail, kind),
            created_at=now,
            expires_at=now + timedelta(seconds=seconds),
        )
        says: dict[str, Any] = {
            "link": self._links.to(kind, new.text),
            "code": code,
            "code_minutes": links.CODE_SECONDS // _MINUTE,
            "hours": seconds // _HOUR,
            "minutes": seconds // _MINUTE,
            "address": address,
            **_place(mail),
        }
        return Letter(mail.kind, address, mail.locale, says)


def _owner(db: Session, mail: OutgoingMail) -> User | None:
    """Whose address that is, in whatever spelling they have it.

    Never somebody whose mails are counted under another address.
    """
    spellings = [mail.data[name] for name in queries.outbox.SPELLINGS if name in mail.data]
    user = queries.users.hold_by_email(db, mail.address, spellings=spellings)
    return user if user is not None and normalise_stored(user.email) == mail.address else None


def _active_user(db: Session, mail: OutgoingMail) -> User | None:
    user = queries.users.hold(db, mail.user_id) if mail.user_id is not None else None
    return user if user is not None and user.is_active else None


def _is_service_account(db: Session, user: User) -> bool:
    """Whether only API keys act for the user. A password would open the account to people."""
    if user.has_password:
        return False
    return queries.api_keys.count_live(db, user_id=user.id, with_replaced=True) > 0


def _kept(mail: OutgoingMail, kind: LinkKind) -> dict[str, Any] | None:
    """What has to be known when the link is used."""
    match kind:
        case LinkKind.REGISTER:
            account: dict[str, Any] = mail.data["account"]
            return account
        case LinkKind.CHANGE:
            return {"epoch": mail.data["epoch"]}
        case LinkKind.REVERT:
            return {"mail": mail.id}
    return None


def _is_kept(db: Session, mail: OutgoingMail, *, besides: int | None = None) -> bool:
    """Whether the address was given up a short while ago by somebody else."""
    return queries.released_names.is_kept(db, names.digest(mail.address), user_id=besides)


def _place(mail: OutgoingMail) -> dict[str, Any]:
    return {"ip": mail.data.get("ip"), "at": f"{mail.created_at:%Y-%m-%d %H:%M} UTC"}
