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

        Without a hash, as for an unknown user, it takes the same time as with one. Computing a
        better hash takes as long again, so `upgrade` is for users who may log in.
        """
        # Longer ones were never stored, and normalising them would hold the interpreter too long.
        if hashed is None or len(password) > limits.MAX_PASSWORD_LENGTH:
            return self._verify_dummy()
        try:
            if upgrade:
                return self._context.verify_and_update(normalise(password), hashed)
            return self._context.verify(normalise(password), hashed), None
        except ValueError:
            # Plain bcrypt rejects NUL, and what is stored need not be a hash at all.
            return self._verify_dummy()

    def _verify_dummy(self) -> tuple[bool, None]:
        # Not the password that was sent: it may be one that bcrypt rejects.
        self._context.verify("", self._dummy_hash)
        return False, None


def normalise(password: str) -> str:
    """NFKC, so that one password typed on two systems is the same password."""
    return unicodedata.normalize("NFKC", password)
