"""Tells users what happened to their account, by the events that the audit log records."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Recorded
from authentication.mail.kinds import MailKind
from authentication.mail.outbox import Outbox
from database import queries

_KINDS = {
    Event.PASSWORD_CHANGED: MailKind.PASSWORD_CHANGED,
    Event.PASSWORD_RESET: MailKind.PASSWORD_CHANGED,
    Event.API_KEY_CREATED: MailKind.API_KEY_CREATED,
    Event.API_KEY_ROTATED: MailKind.API_KEY_CREATED,
    Event.API_KEY_EXPIRING: MailKind.API_KEY_EXPIRES,
    Event.FACTOR_ADDED: MailKind.FACTOR_ADDED,
    Event.FACTOR_REMOVED: MailKind.FACTOR_REMOVED,
    Event.FACTORS_REMOVED: MailKind.FACTOR_REMOVED,
    Event.RECOVERY_CODE_USED: MailKind.RECOVERY_CODE_USED,
    Event.PASSKEY_CLONED: MailKind.PASSKEY_COPIED,
    Event.LOGIN_SUCCEEDED: MailKind.NEW_LOGIN,
}


class _Notice(NamedTuple):
    kind: MailKind
    user_id: int
    recorded: Recorded


class Notices:
    """Adds notices to the outbox in the transaction that has recorded the events.

    So they are sent whatever has caused an event, an endpoint, a page or a command. A new kind
    needs a line above, a template and a name in the settings.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def add(self, db: Session) -> None:
        """Called before each commit."""
        notices = [notice for one in audit.list_recorded(db) if (notice := _notice(one))]
        if not notices:
            return
        emails = queries.users.find_emails(db, [notice.user_id for notice in notices])
        for kind, user_id, recorded in notices:
            if user_id in emails:
                self._outbox.add_notice(
                    db,
                    kind,
                    user_id,
                    emails[user_id].lower(),
                    origin=recorded.origin,
                    data=_shown(recorded),
                )


def _notice(recorded: Recorded) -> _Notice | None:
    kind, user_id = _KINDS.get(recorded.event), audit.user_id_of(recorded)
    if kind is None or user_id is None:
        return None
    if kind is MailKind.NEW_LOGIN and not recorded.detail.get("new_place"):
        return None
    # Its owner has not rotated it in a session.
    if recorded.event is Event.API_KEY_ROTATED and not recorded.detail.get("by_key"):
        return None
    return _Notice(kind, user_id, recorded)


def _shown(recorded: Recorded) -> dict[str, str]:
    """What a mail says of an event. A name of a key is what its creator chose."""
    shown = {name: recorded.detail.get(name) for name in ("name", "ends")}
    return {name: value for name, value in shown.items() if isinstance(value, str)}
