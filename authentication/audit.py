"""Writes down what happened, in the transaction of what it records. Never a token or a password."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from authentication import languages
from database import queries

_RECORDED = "recorded"
_IPV6_PREFIX = 64
# What one customer of a provider may have to themselves (RFC 6177).
_WIDE_IPV6_PREFIX = 48


class Event(StrEnum):
    """Everything that is recorded."""

    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DELETED = "user.deleted"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    ROLES_CHANGED = "user.roles_changed"
    ROLE_CREATED = "role.created"
    ROLE_CHANGED = "role.changed"
    ROLE_DELETED = "role.deleted"
    LIST_EXPORTED = "list.exported"
    PASSWORD_CHANGED = "user.password_changed"
    PASSWORD_REFUSED = "user.password_refused"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    SECOND_FACTOR_ASKED = "login.second_factor_asked"
    ATTEMPTS_THROTTLED = "attempts.throttled"
    TOKEN_REVOKED = "token.revoked"
    TOKEN_REFUSED = "token.refused"
    TOKEN_REFRESHED = "token.refreshed"
    REFRESH_REPEATED = "token.refresh_repeated"
    REFRESH_FAILED = "token.refresh_failed"
    REFRESH_REUSED = "token.refresh_reused"
    ACCESS_DENIED = "access.denied"
    SESSION_IMPORTED = "session.imported"
    SESSION_REVOKED = "session.revoked"
    SESSIONS_REVOKED = "sessions.revoked"
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    API_KEY_EXPIRING = "api_key.expiring"
    FACTOR_ADDED = "factor.added"
    FACTOR_REMOVED = "factor.removed"
    FACTORS_REMOVED = "factors.removed"
    FACTOR_REFUSED = "factor.refused"
    RECOVERY_CODE_USED = "factor.recovery_code_used"
    RECOVERY_CODES_REPLACED = "factor.recovery_codes_replaced"
    PASSKEY_RENAMED = "passkey.renamed"
    PASSKEY_CLONED = "passkey.clone_suspected"
    RESET_REQUESTED = "mail.reset_requested"
    PASSWORD_RESET = "user.password_reset"
    EMAIL_VERIFIED = "user.email_verified"
    EMAIL_CHANGE_REQUESTED = "user.email_change_requested"
    EMAIL_CHANGED = "user.email_changed"
    EMAIL_REVERTED = "user.email_reverted"
    CLIENT_CREATED = "client.created"
    CLIENT_CHANGED = "client.changed"
    CLIENT_DISABLED = "client.disabled"
    CLIENT_ENABLED = "client.enabled"
    CLIENT_DELETED = "client.deleted"
    CLIENT_SECRET_ROTATED = "client.secret_rotated"
    AUTHORIZATION_APPROVED = "authorization.approved"
    AUTHORIZATION_DENIED = "authorization.denied"
    CODE_REDEEMED = "code.redeemed"
    CODE_REUSED = "code.reused"
    CODE_REFUSED = "code.refused"
    DEVICE_APPROVED = "device.approved"
    DEVICE_DENIED = "device.denied"
    DEVICE_CODE_REDEEMED = "device.redeemed"
    CLIENT_TOKEN_ISSUED = "client.token_issued"
    CONSENT_REVOKED = "consent.revoked"
    MAIL_FAILED = "mail.failed"
    MAIL_RETRIED = "mail.retried"


class Reason(StrEnum):
    """Why something was rejected or revoked, in events, metrics and `sessions.revoked_reason`."""

    # A login was rejected.
    UNKNOWN_USER = "unknown user"
    WRONG_PASSWORD = "wrong password"
    DISABLED = "disabled"
    ENDED_WHILE_LOGGING_IN = "ended while logging in"
    CLIENT_GONE = "client gone"
    INVALID_SCOPE = "invalid_scope"
    SESSION_LIMIT_REACHED = "session_limit_reached"
    EMAIL_UNVERIFIED = "email_unverified"
    WRONG_CODE = "wrong code"
    UNKNOWN_PASSKEY = "unknown passkey"
    INVALID_PASSKEY = "invalid passkey"
    CLONED_PASSKEY = "cloned passkey"
    CHALLENGE_USED = "challenge used"

    # A refresh was rejected. An invalid scope is above.
    EXPIRED = "expired"
    SESSION_ENDED = "session ended"
    ANOTHER_CLIENT = "another client"
    ANOTHER_KIND = "another kind of session"

    # An authorization code or a device code was rejected. Some of the reasons are above.
    ANOTHER_REDIRECT = "another redirect address"
    WRONG_VERIFIER = "wrong verifier"
    CODE_VOID = "void"

    # A session, a token or an API key was revoked.
    LOGOUT = "logout"
    COMMAND = "command"
    BY_USER = "ended_by_user"
    BY_ADMINISTRATOR = "ended_by_administrator"
    BY_HOLDER = "revoked_by_holder"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_RESET = "password_reset"
    EMAIL_REVERTED = "email_reverted"
    FACTORS_CHANGED = "factors_changed"
    USER_DISABLED = "user_disabled"
    SESSION_LIMIT = "session_limit"
    REFRESH_TOKEN_REUSE = "refresh_token_reuse"
    CODE_REUSE = "authorization_code_reuse"
    CONSENT_REVOKED = "consent_revoked"
    CLIENT_DISABLED = "client_disabled"


@dataclass(frozen=True)
class Origin:
    """Who acts, and from where. `actor` is "user:42", "command" or "anonymous".

    `language` is what they read, for the mails that their action causes.
    """

    actor: str = "anonymous"
    ip: str | None = None
    user_agent: str | None = None
    language: str = languages.DEFAULT

    @cached_property
    def network(self) -> str | None:
        """What counts as one place: an IPv4 address, or a /64 of IPv6.

        One client can have all of a /64 to itself, and change addresses within it at will.
        """
        return None if self.ip is None else _network(self.ip, _IPV6_PREFIX)

    @cached_property
    def wide_network(self) -> str | None:
        """The /48 of an IPv6 address: one site can have all of its 65,536 networks. Else None."""
        if self.ip is None or ":" not in self.ip:
            return None
        return _network(self.ip, _WIDE_IPV6_PREFIX)

    def acting_as(self, actor: str) -> "Origin":
        """The same place, once it is known who is there."""
        return Origin(actor, self.ip, self.user_agent, self.language)


COMMAND = Origin("command")


class Recorded(NamedTuple):
    """An event of a transaction that is not over."""

    event: Event
    subject: str | None
    detail: dict[str, Any]
    origin: Origin


def _network(ip: str, ipv6_prefix: int) -> str:
    address = ip_address(ip)
    if isinstance(address, IPv6Address):
        return str(ip_network((address.packed, ipv6_prefix), strict=False))
    return str(address)


def user(user_id: int) -> str:
    """How events name a user."""
    return f"user:{user_id}"


def role(name: str) -> str:
    """How events name a role."""
    return f"role:{name}"


def client(client_id: str) -> str:
    """How events name a registered client."""
    return f"client:{client_id}"


def user_id_of(recorded: Recorded) -> int | None:
    """The id of the user whom an event is about. None for an event about something else."""
    kind, _, number = (recorded.subject or "").partition(":")
    return int(number) if kind == "user" and number.isdigit() else None


def record(
    db: Session, event: Event, /, *, origin: Origin, subject: str | None, **detail: Any
) -> None:
    """Append one event. `detail` holds what else a reader will want to know, such as a reason."""
    described = _describe(event, origin, subject, detail)
    queries.audit_events.append(db, **described)
    _remember(db, [described], origin)


def record_all(
    db: Session,
    event: Event,
    /,
    subjects: Iterable[tuple[str | None, dict[str, Any]]],
    *,
    origin: Origin,
) -> None:
    """Append an event for each pair of a subject and its detail, all at once."""
    events = [_describe(event, origin, subject, detail) for subject, detail in subjects]
    queries.audit_events.append_all(db, events)
    _remember(db, events, origin)


def record_together(
    db: Session,
    events: Sequence[tuple[Event, dict[str, Any]]],
    *,
    origin: Origin,
    subject: str | None,
) -> None:
    """Append several kinds of events of one subject, each with its detail, all at once."""
    described = [_describe(event, origin, subject, detail) for event, detail in events]
    queries.audit_events.append_all(db, described)
    _remember(db, described, origin)


def _describe(
    event: Event, origin: Origin, subject: str | None, detail: dict[str, Any]
) -> dict[str, Any]:
    known = {name: value for name, value in detail.items() if value is not None}
    return {
        "event": event,
        "actor": origin.actor,
        "subject": subject,
        "ip": origin.ip,
        "detail": known,
    }


def list_recorded(db: Session) -> Sequence[Recorded]:
    """The events of this transaction, for callers that add to it before it is committed."""
    recorded: list[Recorded] = db.info.get(_RECORDED, [])
    return recorded


def take_recorded(db: Session) -> Sequence[Recorded]:
    """The events recorded since this was last asked, to be counted after the commit."""
    recorded: list[Recorded] = db.info.pop(_RECORDED, [])
    return recorded


def _remember(db: Session, events: Iterable[dict[str, Any]], origin: Origin) -> None:
    remembered = db.info.setdefault(_RECORDED, [])
    remembered.extend(
        Recorded(one["event"], one["subject"], one["detail"], origin) for one in events
    )
