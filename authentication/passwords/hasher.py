"""Hashes and checks passwords.

bcrypt takes a quarter of a second of a core, on purpose: authentication/passwords/queue.py bounds
how many passwords are hashed at a time.
"""

import unicodedata
import warnings

from authentication.settings import AuthenticationSettings
from database import limits

with warnings.catch_warnings():
    # passlib imports the standard library's crypt, which Python 3.13 has dropped.
    warnings.simplefilter("ignore", DeprecationWarning)
    from passlib.context import CryptContext


# A well-formed hash that no password is known for. Checking one costs what any check costs.
# passlib's dummy_verify() would compute such a hash first, which adds a login's time to each start.
_DUMMY_HASH = f"$bcrypt-sha256$v=2,t=2b,r={{rounds}}${'.' * 22}${'.' * 31}"


class PasswordHasher:
    """bcrypt over SHA-256, which neither cuts a password at 72 bytes nor rejects NUL.

    Plain bcrypt hashes, such as an administrator inserts by SQL, are accepted and reported as due
    for an upgrade.
    """

    def __init__(self, settings: AuthenticationSettings) -> None:
        self._context = CryptContext(
            ["bcrypt_sha256", "bcrypt"],
            deprecated="auto",
            bcrypt_sha256__default_rounds=settings.bcrypt_rounds,
            # A hash that cost more, as where the setting differs between two nodes, stays.
            bcrypt_sha256__min_rounds=settings.bcrypt_rounds,
        )
        self._dummy_hash = _DUMMY_HASH.format(rounds=settings.bcrypt_rounds)

    def hash(self, password: str) -> str:
        """The hash to store."""
        hashed: str = self._context.hash(normalise(password))
        return hashed

    def verify(
        self, password: str, hashed: str | None, *, upgrade: bool = True
    ) -> tuple[bool, str | None]:
        """Whether the password is right, and a better hash to store if one is due.

        A hash that comes from another system may be that of the password as it was typed, so a
        password that is not normalised is checked in both forms. The time depends on what is sent,
        and not on what is stored: without a hash, as for an unknown user, it is the same.

        Computing a better hash takes as long again, so `upgrade` is for users who may log in.
        """
        # Longer ones were never stored, and normalising them would hold the interpreter too long.
        if len(password) > limits.MAX_PASSWORD_LENGTH:
            return self._matches("", None), None
        normalised = normalise(password)
        is_right = self._matches(normalised, hashed)
        is_right_as_typed = password != normalised and self._matches(password, hashed)
        if hashed is None or not (is_right or is_right_as_typed):
            return False, None
        is_due = not is_right or self._context.needs_update(hashed)
        return True, self.hash(password) if upgrade and is_due else None

    def _matches(self, password: str, hashed: str | None) -> bool:
        """Takes the time of one hash in any case."""
        try:
            if hashed is not None:
                return bool(self._context.verify(password, hashed))
        except ValueError:
            # Plain bcrypt rejects NUL, and what is stored need not be a hash at all.
            pass
        # Not the password that was sent: it may be one that bcrypt rejects.
        self._context.verify("", self._dummy_hash)
        return False


def normalise(password: str) -> str:
    """NFKC, so that one password typed on two systems is the same password."""
    return unicodedata.normalize("NFKC", password)
