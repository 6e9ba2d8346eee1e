"""Names what users have given to prove who they are (RFC 8176), and what they can give."""

from collections.abc import Iterable
from enum import StrEnum

from database.queries.factors import Counts

PASSWORD = "pwd"
ONE_TIME_CODE = "otp"
"""That of an authenticator app, and a recovery code as well."""

PASSKEY = ("pop", "user")
"""A key that the user possesses, on a device that has verified them."""

_SEVERAL = "mfa"


class Method(StrEnum):
    """What can be given as a second factor: the members of a request that gives one."""

    PASSKEY = "passkey"
    CODE = "code"
    RECOVERY_CODE = "recovery_code"


def join(words: Iterable[str]) -> str:
    """What was given, for `sessions.amr`: "mfa otp pwd"."""
    given = set(words) - {_SEVERAL}
    return " ".join(sorted(given | {_SEVERAL} if len(given) > 1 else given))


def add(amr: str | None, words: Iterable[str]) -> str:
    """What was given in a session until now, and these."""
    return join([*(amr or "").split(), *words])


def of(counts: Counts) -> list[Method]:
    """What a user can give, the strongest first. Empty for one without a second factor."""
    if not counts.total:
        return []
    numbers = {
        Method.PASSKEY: counts.passkeys,
        Method.CODE: counts.totp,
        Method.RECOVERY_CODE: counts.recovery_codes,
    }
    return [method for method, number in numbers.items() if number]
