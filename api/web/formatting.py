"""Formats stored values for people: user agents, events, times, numbers, and notices of forms.

Texts are translated where they are shown.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from api.web.messages import N_
from authentication.audit import Event

if TYPE_CHECKING:
    from ua_parser import Parser

_MAX_AGENT_LENGTH = 60
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

# The result of a form, for one item and for several. A cookie carries the key, and the count, to
# the next page.
NOTICES: dict[str, tuple[str, str]] = {
    "signed-out": (N_("You are signed out."), ""),
    "session-over": (N_("Your session is over. Sign in again."), ""),
    "sessions-ended": (
        N_("1 session has ended. Its next request is rejected."),
        N_("{number} sessions have ended. The next request of each is rejected."),
    ),
    "nothing-selected": (N_("No session was selected, so none has ended."), ""),
    "more-sessions": (
        N_("1 session has ended, and there are more. Do it again to end the next ones."),
        N_("{number} sessions have ended, and there are more. Do it again to end the next ones."),
    ),
    "user-disabled": (N_("The account is disabled. Its sessions have ended."), ""),
    "user-enabled": (N_("The account is enabled."), ""),
    "user-created": (N_("The account is created. It has no password."), ""),
    "user-invited": (
        N_("The account is created, and a mail to set a password is on its way."),
        "",
    ),
    "user-renamed": (N_("The names are changed."), ""),
    "user-deleted": (N_("The account is deleted, with everything that belonged to it."), ""),
    "role-created": (N_("The role is created. Nobody has it yet."), ""),
    "role-changed": (N_("The role is changed, from the next request of its users on."), ""),
    "role-deleted": (N_("The role is deleted, and nobody has it any more."), ""),
    "roles-changed": (N_("The roles are changed, from the next request on."), ""),
    "password-changed": (N_("Your password is changed. Your other sessions have ended."), ""),
    "profile-changed": (N_("Your profile is changed."), ""),
    "address-changed": (N_("Your e-mail address is changed."), ""),
    "address-pending": (
        N_("A mail to the new address is on its way. It is yours once you confirm it."),
        "",
    ),
    "application-removed": (
        N_("The application has no access any more. Its next request is rejected."),
        "",
    ),
    "account-created": (N_("Your account has begun. Sign in."), ""),
    "reset-sent": (N_("A mail with a link to set a new password is on its way."), ""),
    "mail-retried": (N_("The mail is tried again now."), ""),
    "client-changed": (N_("The client is changed."), ""),
    "client-disabled": (N_("The client is disabled. Its sessions have ended."), ""),
    "client-enabled": (N_("The client is enabled."), ""),
    "client-deleted": (N_("The client is deleted, and its sessions with it."), ""),
    "factor-added": (N_("It is added. Sign-ins ask for it from now on."), ""),
    "factor-removed": (N_("It is removed. Your other sessions have ended."), ""),
    "factor-renamed": (N_("It is renamed."), ""),
    "factors-removed": (N_("All second factors are removed, and all sessions have ended."), ""),
    "key-revoked": (N_("The API key is revoked. Its next request is rejected."), ""),
}

_NOTHING_ENDED = N_("None of these sessions was live any more.")

EVENTS: dict[str, str] = {
    Event.USER_CREATED: N_("Account created"),
    Event.USER_CHANGED: N_("Account changed"),
    Event.USER_DELETED: N_("Account deleted"),
    Event.USER_DISABLED: N_("Account disabled"),
    Event.USER_ENABLED: N_("Account enabled"),
    Event.ROLES_CHANGED: N_("Roles changed"),
    Event.ROLE_CREATED: N_("Role created"),
    Event.ROLE_CHANGED: N_("Role changed"),
    Event.ROLE_DELETED: N_("Role deleted"),
    Event.LIST_EXPORTED: N_("List exported"),
    Event.PASSWORD_CHANGED: N_("Password changed"),
    Event.PASSWORD_REFUSED: N_("Wrong password in the account"),
    Event.LOGIN_SUCCEEDED: N_("Signed in"),
    Event.LOGIN_FAILED: N_("Sign-in failed"),
    Event.ATTEMPTS_THROTTLED: N_("Attempts throttled"),
    Event.SECOND_FACTOR_ASKED: N_("Second factor asked for"),
    Event.FACTOR_ADDED: N_("Second factor added"),
    Event.FACTOR_REMOVED: N_("Second factor removed"),
    Event.FACTORS_REMOVED: N_("All second factors removed"),
    Event.FACTOR_REFUSED: N_("Wrong code in the account"),
    Event.RECOVERY_CODE_USED: N_("Recovery code used"),
    Event.RECOVERY_CODES_REPLACED: N_("New recovery codes made"),
    Event.PASSKEY_RENAMED: N_("Passkey renamed"),
    Event.PASSKEY_CLONED: N_("Passkey may have been copied"),
    Event.TOKEN_REVOKED: N_("Token revoked"),
    Event.TOKEN_REFUSED: N_("Token rejected"),
    Event.TOKEN_REFRESHED: N_("Tokens refreshed"),
    Event.REFRESH_REPEATED: N_("Tokens refreshed once more"),
    Event.ACCESS_DENIED: N_("Access denied"),
    Event.REFRESH_FAILED: N_("Refresh failed"),
    Event.REFRESH_REUSED: N_("Refresh token reused"),
    Event.SESSION_IMPORTED: N_("Session imported"),
    Event.SESSION_REVOKED: N_("Session ended"),
    Event.SESSIONS_REVOKED: N_("Sessions ended"),
    Event.API_KEY_CREATED: N_("API key created"),
    Event.API_KEY_EXPIRING: N_("API key about to expire"),
    Event.API_KEY_ROTATED: N_("API key rotated"),
    Event.API_KEY_REVOKED: N_("API key revoked"),
    Event.CLIENT_CREATED: N_("Client registered"),
    Event.CLIENT_CHANGED: N_("Client changed"),
    Event.CLIENT_DISABLED: N_("Client disabled"),
    Event.CLIENT_ENABLED: N_("Client enabled"),
    Event.CLIENT_DELETED: N_("Client deleted"),
    Event.CLIENT_SECRET_ROTATED: N_("Client secret replaced"),
    Event.CLIENT_TOKEN_ISSUED: N_("Token for a client's own account"),
    Event.AUTHORIZATION_APPROVED: N_("Access allowed"),
    Event.AUTHORIZATION_DENIED: N_("Access not allowed"),
    Event.CODE_REDEEMED: N_("Signed in with an application"),
    Event.CODE_REUSED: N_("Code of an application reused"),
    Event.CODE_REFUSED: N_("Code of an application rejected"),
    Event.DEVICE_APPROVED: N_("Device allowed"),
    Event.DEVICE_DENIED: N_("Device not allowed"),
    Event.DEVICE_CODE_REDEEMED: N_("Signed in on a device"),
    Event.CONSENT_REVOKED: N_("Access of an application taken back"),
    Event.RESET_REQUESTED: N_("New password asked for"),
    Event.PASSWORD_RESET: N_("Password set by mail"),
    Event.EMAIL_VERIFIED: N_("Address confirmed"),
    Event.EMAIL_CHANGE_REQUESTED: N_("New address asked for"),
    Event.EMAIL_CHANGED: N_("Address changed"),
    Event.EMAIL_REVERTED: N_("Change of address taken back"),
    Event.MAIL_FAILED: N_("Mail given up"),
    Event.MAIL_RETRIED: N_("Mail tried again"),
}
_FAILURES = {
    *(Event.PASSWORD_REFUSED, Event.LOGIN_FAILED, Event.REFRESH_FAILED, Event.REFRESH_REUSED),
    *(Event.CODE_REUSED, Event.CODE_REFUSED, Event.FACTOR_REFUSED, Event.PASSKEY_CLONED),
}
_WARNINGS = {
    *(Event.FACTOR_REMOVED, Event.FACTORS_REMOVED, Event.RECOVERY_CODE_USED),
    *(Event.ATTEMPTS_THROTTLED, Event.USER_DISABLED, Event.EMAIL_REVERTED, Event.MAIL_FAILED),
    *(Event.AUTHORIZATION_DENIED, Event.DEVICE_DENIED),
}


_NUMBER = re.compile(r"\d[\d,]*")
_MONTHS = N_("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")
_THIS_YEAR = N_("{day} {month}, {time}")
_ANOTHER_YEAR = N_("{day} {month} {year}, {time}")
_NEVER = N_("never")

# Units of time in minutes, with what is said of one and of several: since then, and until then.
_UNITS = (
    (
        60 * 24,
        (N_("1 day ago"), N_("{number} days ago")),
        (N_("in 1 day"), N_("in {number} days")),
    ),
    (
        60,
        (N_("1 hour ago"), N_("{number} hours ago")),
        (N_("in 1 hour"), N_("in {number} hours")),
    ),
    (
        1,
        (N_("1 minute ago"), N_("{number} minutes ago")),
        (N_("in 1 minute"), N_("in {number} minutes")),
    ),
)


class Formatter:
    """Formats in one language. `translate` returns the translation of an English text."""

    def __init__(self, translate: Callable[[str], str] = lambda text: text) -> None:
        self._translate = translate

    @property
    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters for templates, by their names."""
        return {
            "agent": self.agent,
            "compact": compact,
            "count": count,
            "detail": detail,
            "distance": self.distance,
            "event": self.event,
            "event_kind": event_kind,
            "is_identifier": is_identifier,
            "moment": self.moment,
            "second": second,
        }

    def message(self, text: str) -> str:
        """The message of an error. It may contain a number."""
        number = _NUMBER.search(text)
        translated = self._translate(_NUMBER.sub("{number}", text, count=1))
        return translated.replace("{number}", number[0] if number else "")

    def notice(self, text: str | None) -> str | None:
        """The notice that a cookie names, as "key" or "key.count". None for any other text."""
        name, _, number = (text or "").partition(".")
        if name not in NOTICES:
            return None
        one, many = NOTICES[name]
        if number == "0":
            return self._translate(_NOTHING_ENDED)
        if not many or number == "1":
            return self._translate(one)
        is_number = re.fullmatch("[0-9]{1,9}", number)
        return self._translate(many).format(number=number) if is_number else None

    def event(self, name: str) -> str:
        """The title of an event, or its name if it has no title."""
        return self._translate(EVENTS[name]) if name in EVENTS else name

    def agent(self, text: str | None) -> str:
        """A User-Agent header in short, such as "Firefox on Windows", or its beginning.

        The result contains untrusted text and must be escaped.
        """
        if not text:
            return self._translate(N_("Unknown client"))
        browser, system = _parse_agent(text)
        if not system:
            return browser
        return self._translate(N_("{browser} on {system}")).format(browser=browser, system=system)

    def moment(self, at: datetime | None) -> str:
        """A point in time in UTC, without the year if it is the current one. "never" for None."""
        if at is None:
            return self._translate(_NEVER)
        at = at.astimezone(UTC)
        pattern = _THIS_YEAR if at.year == datetime.now(UTC).year else _ANOTHER_YEAR
        month = self._translate(_MONTHS).split()[at.month - 1]
        return self._translate(pattern).format(
            day=at.day, month=month, year=at.year, time=f"{at:%H:%M}"
        )

    def distance(self, at: datetime | None, now: datetime | None = None) -> str:
        """A point in time relative to now: "3 minutes ago", "in 2 days". "never" for None."""
        if at is None:
            return self._translate(_NEVER)
        difference = (now or datetime.now(UTC)) - at
        is_past = difference >= timedelta(0)
        minutes = int(abs(difference).total_seconds() // 60)
        for size, past, future in _UNITS:
            if minutes >= size:
                number = minutes // size
                text = (past if is_past else future)[number > 1]
                return self._translate(text).format(number=number)
        return self._translate(N_("just now") if is_past else N_("in a moment"))


def second(at: datetime) -> str:
    """A point in time in UTC to the second, as the audit log has it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def event_kind(name: str) -> str:
    """The CSS class by which an event is highlighted."""
    if name in _FAILURES:
        return "bad"
    return "warning" if name in _WARNINGS else "plain"


@lru_cache(maxsize=4096)
def _parse_agent(text: str) -> tuple[str, str]:
    """The browser and the system that a User-Agent header names.

    Without a known browser, the beginning of the header; without a system of its own, "".
    """
    browser, system = _parser().parse_user_agent(text), _parser().parse_os(text)
    if browser is None:
        return text[:_MAX_AGENT_LENGTH], ""
    if system is None or system.family == browser.family:
        return _plain(browser.family), ""
    return _plain(browser.family), _plain(system.family)


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
