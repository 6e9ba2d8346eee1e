"""The limits on attempts: how many may fail, for an account and for a network.

A user who comes from a network that they have logged in from before has limits of their own, which
nobody else can use up. An account that does not exist has the same limits as one that does.
"""

from dataclasses import dataclass
from hashlib import sha256

from authentication.audit import Origin
from authentication.mail.settings import MailSettings
from authentication.settings import DAY, AuthenticationSettings
from database.queries.throttle_counters import CounterKey

# Failures in a row on an account are kept until its user logs in. Those on a name without an
# account are deleted after a while, because clients can make up any number of names.
_UNKNOWN_ACCOUNT_SECONDS = 7 * DAY

# How much more than a /64 all networks of one /48 may try together.
WIDE_FACTOR = 10


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts may fail, counted under a key. `name` is its name in the audit log."""

    name: str
    maximum: int
    key: CounterKey
    is_consecutive: bool = False
    is_of_network: bool = False


def for_account(
    settings: AuthenticationSettings, kind: str, user_id: int | None, *key: str
) -> list[Limit]:
    """The limits on attempts in a window, and on failures in a row (NIST SP 800-63B-4, 3.2.2)."""
    most = settings.login_attempts_per_account, settings.login_failures_per_account
    return _for_account(settings, kind, user_id, most, *key)


def for_factor(settings: AuthenticationSettings, kind: str, user_id: int, *key: str) -> list[Limit]:
    """The same for second factors, of which there are fewer to try."""
    most = settings.factor_attempts_per_account, settings.factor_failures_per_account
    return _for_account(settings, kind, user_id, most, *key)


def _for_account(
    settings: AuthenticationSettings,
    kind: str,
    user_id: int | None,
    most: tuple[int, int],
    *key: str,
) -> list[Limit]:
    in_window, in_a_row = most
    return [
        Limit(
            f"{kind} attempts per account",
            in_window,
            CounterKey(_digest("window", kind, *key), user_id, settings.login_window_seconds),
        ),
        Limit(
            f"{kind} failures in a row",
            in_a_row,
            CounterKey(
                _digest("in a row", kind, *key),
                user_id,
                _UNKNOWN_ACCOUNT_SECONDS if user_id is None else None,
            ),
            is_consecutive=True,
        ),
    ]


def for_networks(settings: AuthenticationSettings, origin: Origin) -> list[Limit]:
    """The limits on logins from a network by users who have not logged in from there before."""
    return _for_networks(
        "login attempts per address",
        "login",
        settings.login_attempts_per_address,
        settings.login_window_seconds,
        origin,
    )


def for_registration(settings: AuthenticationSettings, origin: Origin) -> list[Limit]:
    """The limits on registrations from a network, and on changes of names."""
    return _for_networks(
        "registrations per address",
        "register",
        settings.registrations_per_address,
        settings.registration_window_seconds,
        origin,
    )


def for_passkey_logins(settings: AuthenticationSettings, origin: Origin) -> list[Limit]:
    """The limits on logins with a passkey that begin in a network, each of which is a row."""
    return _for_networks(
        "passkey logins per address",
        "passkey login",
        settings.passkey_options_per_address,
        settings.passkey_options_window_seconds,
        origin,
    )


def for_recipients(settings: MailSettings, address: str) -> list[Limit]:
    """The limits on mails that are asked for to one address, whether anybody has it or not."""
    return [
        Limit(
            "mails per recipient",
            most,
            CounterKey(_digest("mail", str(seconds), address), None, seconds),
        )
        for most, seconds in (
            (settings.mails_per_recipient, settings.mail_window_seconds),
            (settings.mails_per_recipient_per_day, DAY),
        )
    ]


def for_mail_requests(settings: MailSettings, origin: Origin) -> list[Limit]:
    """The limits on mails that are asked for from a network."""
    return _for_networks(
        "mail requests per address",
        "mail request",
        settings.mail_requests_per_address,
        settings.mail_window_seconds,
        origin,
    )


def for_notices(kind: str, user_id: int) -> CounterKey:
    """Counts the notices of a kind that a user gets in a day.

    Without the user as its owner, as a new password deletes what belongs to its user.
    """
    return CounterKey(_digest("notice", kind, str(user_id)), None, DAY)


def _for_networks(name: str, kind: str, maximum: int, seconds: int, origin: Origin) -> list[Limit]:
    """For an IPv4 address, or for a /64 and a wider one for its /48."""
    networks = ((origin.network, maximum), (origin.wide_network, WIDE_FACTOR * maximum))
    return [
        Limit(name, most, CounterKey(_digest(kind, network), None, seconds), is_of_network=True)
        for network, most in networks
        if network is not None
    ]


def for_name_changes(settings: AuthenticationSettings, user_id: int) -> Limit:
    """The limit on changes of the username and the address of an account, from all networks."""
    seconds = settings.registration_window_seconds
    key = CounterKey(_digest("name", str(user_id)), user_id, seconds)
    return Limit("name changes per account", settings.registrations_per_address, key)


def _digest(*parts: str) -> bytes:
    return sha256("\x00".join(parts).encode()).digest()
