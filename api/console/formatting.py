"""Formats stored values for people: user agents, events, times, numbers, and notices of forms."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from authentication.audit import Event

if TYPE_CHECKING:
    from ua_parser import Parser

_MAX_AGENT_LENGTH = 60
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

# The result of a form, for one item and for several. A cookie carries the key, and the count, to
# the next page.
NOTICES: dict[str, tuple[str, str]] = {
    "signed-out": ("You are signed out.", ""),
    "session-over": ("Your session is over. Sign in again.", ""),
    "sessions-ended": (
        "1 session has ended. Its next request is rejected.",
        "{count} sessions have ended. The next request of each is rejected.",
    ),
    "nothing-selected": ("No session was selected, so none has ended.", ""),
    "more-sessions": (
        "1 session has ended, and there are more. Do it again to end the next ones.",
        "{count} sessions have ended, and there are more. Do it again to end the next ones.",
    ),
    "user-disabled": ("The account is disabled. Its sessions have ended.", ""),
    "user-enabled": ("The account is enabled.", ""),
    "user-created": ("The account is created. It has no password.", ""),
    "user-invited": ("The account is created, and a mail to set a password is on its way.", ""),
    "user-renamed": ("The names are changed.", ""),
    "user-deleted": ("The account is deleted, with everything that belonged to it.", ""),
    "role-created": ("The role is created. Nobody has it yet.", ""),
    "role-changed": ("The role is changed, from the next request of its users on.", ""),
    "role-deleted": ("The role is deleted, and nobody has it any more.", ""),
    "roles-changed": ("The roles are changed, from the next request on.", ""),
    "password-changed": (
        "Your password is changed. Your other sessions have ended.",
        "",
    ),
    "reset-sent": ("A mail with a link to set a new password is on its way.", ""),
    "mail-retried": ("The mail is tried again now.", ""),
    "key-revoked": ("The API key is revoked. Its next request is rejected.", ""),
}

_NOTHING_ENDED = "None of these sessions was live any more."

EVENTS: dict[str, str] = {
    Event.USER_CREATED: "Account created",
    Event.USER_CHANGED: "Account changed",
    Event.USER_DELETED: "Account deleted",
    Event.USER_DISABLED: "Account disabled",
    Event.USER_ENABLED: "Account enabled",
    Event.ROLES_CHANGED: "Roles changed",
    Event.ROLE_CREATED: "Role created",
    Event.ROLE_CHANGED: "Role changed",
    Event.ROLE_DELETED: "Role deleted",
    Event.PASSWORD_CHANGED: "Password changed",
    Event.PASSWORD_REFUSED: "Wrong password in the account",
    Event.LOGIN_SUCCEEDED: "Signed in",
    Event.LOGIN_FAILED: "Sign-in failed",
    Event.SECOND_FACTOR_ASKED: "Second factor asked for",
    Event.FACTOR_ADDED: "Second factor added",
    Event.FACTOR_REMOVED: "Second factor removed",
    Event.FACTORS_REMOVED: "All second factors removed",
    Event.FACTOR_REFUSED: "Wrong code in the account",
    Event.RECOVERY_CODE_USED: "Recovery code used",
    Event.RECOVERY_CODES_REPLACED: "New recovery codes made",
    Event.ATTEMPTS_THROTTLED: "Attempts throttled",
    Event.TOKEN_REVOKED: "Token revoked",
    Event.TOKEN_REFUSED: "Token rejected",
    Event.TOKEN_REFRESHED: "Tokens refreshed",
    Event.REFRESH_REPEATED: "Tokens refreshed once more",
    Event.ACCESS_DENIED: "Access denied",
    Event.REFRESH_FAILED: "Refresh failed",
    Event.REFRESH_REUSED: "Refresh token reused",
    Event.SESSION_IMPORTED: "Session imported",
    Event.SESSION_REVOKED: "Session ended",
    Event.SESSIONS_REVOKED: "Sessions ended",
    Event.API_KEY_CREATED: "API key created",
    Event.API_KEY_EXPIRING: "API key about to expire",
    Event.API_KEY_ROTATED: "API key rotated",
    Event.API_KEY_REVOKED: "API key revoked",
    Event.PASSKEY_RENAMED: "Passkey renamed",
    Event.PASSKEY_CLONED: "Passkey may have been copied",
    Event.RESET_REQUESTED: "New password asked for",
    Event.PASSWORD_RESET: "Password set by mail",
    Event.EMAIL_VERIFIED: "Address confirmed",
    Event.EMAIL_CHANGE_REQUESTED: "New address asked for",
    Event.EMAIL_CHANGED: "Address changed",
    Event.EMAIL_REVERTED: "Change of address taken back",
    Event.MAIL_FAILED: "Mail given up",
    Event.MAIL_RETRIED: "Mail tried again",
}
_FAILURES = {
    *(Event.PASSWORD_REFUSED, Event.LOGIN_FAILED, Event.REFRESH_FAILED, Event.REFRESH_REUSED),
    *(Event.FACTOR_REFUSED, Event.PASSKEY_CLONED),
}
_WARNINGS = {
    *(Event.FACTOR_REMOVED, Event.FACTORS_REMOVED, Event.RECOVERY_CODE_USED),
    *(Event.ATTEMPTS_THROTTLED, Event.USER_DISABLED, Event.EMAIL_REVERTED, Event.MAIL_FAILED),
}


def notice(text: str | None) -> str | None:
    """The notice that a cookie names, as "key" or "key.count". None for any other text."""
    name, _, number = (text or "").partition(".")
    if name not in NOTICES:
        return None
    one, many = NOTICES[name]
    if number == "0":
        return _NOTHING_ENDED
    if not many or number == "1":
        return one
    return many.format(count=number) if re.fullmatch("[0-9]{1,9}", number) else None


def event(name: str) -> str:
    """The title of an event, or its name if it has no title."""
    return EVENTS.get(name, name)


def event_kind(name: str) -> str:
    """The CSS class by which an event is highlighted."""
    if name in _FAILURES:
        return "bad"
    return "warning" if name in _WARNINGS else "plain"


@lru_cache(maxsize=4096)
def agent(text: str | None) -> str:
    """A User-Agent header in short, such as "Firefox on Windows", or its first 60 characters.

    The result contains untrusted text and must be escaped.
    """
    if not text:
        return "Unknown client"
    browser, system = _parser().parse_user_agent(text), _parser().parse_os(text)
    if browser is None:
        return text[:_MAX_AGENT_LENGTH]
    if system is None or system.family == browser.family:
        return _plain(browser.family)
    return f"{_plain(browser.family)} on {_plain(system.family)}"


def moment(at: datetime | None) -> str:
    """A point in time in UTC, without the year if it is the current one. "never" for None."""
    if at is None:
        return "never"
    this_year = at.astimezone(UTC).year == datetime.now(UTC).year
    return at.astimezone(UTC).strftime("%-d %b, %H:%M" if this_year else "%-d %b %Y, %H:%M")


def second(at: datetime) -> str:
    """A point in time in UTC to the second, as the audit log has it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def distance(at: datetime | None, now: datetime | None = None) -> str:
    """A point in time relative to now: "3 minutes ago", "in 2 days". "never" for None."""
    if at is None:
        return "never"
    difference = (now or datetime.now(UTC)) - at
    if abs(difference) < timedelta(minutes=1):
        return "just now" if difference >= timedelta(0) else "in a moment"
    length = _length(abs(difference))
    return f"{length} ago" if difference > timedelta(0) else f"in {length}"


def _length(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    for size, unit in ((60 * 24, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            number = minutes // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "a moment"


def detail(value: object, name: str) -> object:
    """A value from the details of an audit event."""
    if name == "reason":
        return str(value).replace("_", " ")
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def is_identifier(value: object) -> bool:
    """Whether it is a UUID, of which the pages show only the beginning."""
    return isinstance(value, str) and bool(_IDENTIFIER.fullmatch(value))


def count(number: int) -> str:
    """A number with narrow spaces as thousands separators."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def compact(number: int) -> str:
    """A round number in at most four characters, for the axis of a chart: 600, 40k, 2M."""
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return str(number)


def _plain(family: str) -> str:
    return {"Mobile Safari": "Safari", "Chrome Mobile": "Chrome", "Mac OS X": "macOS"}.get(
        family, family.removesuffix(" Mobile")
    )


@cache
def _parser() -> "Parser":
    # Imported on first use, because its regular expressions take time to load and 9 MB of memory.
    from ua_parser import Parser
    from ua_parser.basic import Resolver
    from ua_parser.loaders import load_lazy_builtins

    return Parser(Resolver(load_lazy_builtins()))


FILTERS: dict[str, Callable[..., Any]] = {
    "second": second,
    "agent": agent,
    "compact": compact,
    "count": count,
    "detail": detail,
    "distance": distance,
    "event": event,
    "event_kind": event_kind,
    "is_identifier": is_identifier,
    "moment": moment,
}
