"""Hashes and checks passwords.

bcrypt takes a quarter of a second of a core, on purpose: authentication/passwords/queue.py bounds
how many passwords are hashed at a time.
"""

import unicodedata
import warnings

from authentication.settings import MAX_BCRYPT_ROUNDS, AuthenticationSettings
from database import limits

with warnings.catch_warnings():
    # passlib imports the standard library's crypt, which Python 3.13 has dropped.
    warnings.simplefilter("ignore", DeprecationWarning)
    from passlib.context import CryptContext


# A well-formed hash that no password is known for. Checking one costs what any check of a hash of
# these rounds costs. passlib's dummy_verify() would compute such a hash first, which adds a login's
# time to each start.
_DUMMY_HASH = f"$bcrypt-sha256$v=2,t=2b,r={{rounds}}${'.' * 22}${'.' * 31}"

# What is stored for a user who has no password, such as one for API keys alone.
NO_PASSWORD = "!"

_LOWEST_ROUNDS = 4


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
        self._rounds = settings.bcrypt_rounds

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
        and not on what is stored: without a hash, as for an unknown user, or with one that cost
        less than is set, it is the same. Nothing can be made up for a hash that cost more.

        Computing a better hash takes as long again, so `upgrade` is for users who may log in.
        """
        # Longer ones were never stored, and normalising them would hold the interpreter too long.
        if len(password) > limits.MAX_PASSWORD_LENGTH:
            self._compute(self._rounds)
            return False, None
        normalised = normalise(password)
        is_right = self._matches(normalised, hashed, upgrade=upgrade)
        is_right_as_typed = password != normalised and self._matches(
            password, hashed, upgrade=upgrade
        )
        if hashed is None or not (is_right or is_right_as_typed):
            return False, None
        # The normal form may be much longer than what was typed, and is then never stored.
        is_storable = len(normalised) <= limits.MAX_PASSWORD_LENGTH
        is_due = is_storable and (not is_right or self._context.needs_update(hashed))
        return True, self.hash(password) if upgrade and is_due else None

    def _matches(self, password: str, hashed: str | None, *, upgrade: bool) -> bool:
        """Takes the time of one hash by the settings, unless a better one is computed next.

        A hash of a cost that no setting allows, and which takes up to hours, matches nothing.
        """
        try:
            if hashed is not None and (rounds := self._rounds_of(hashed)) <= MAX_BCRYPT_ROUNDS:
                is_right: bool = self._context.verify(password, hashed)
                if not (is_right and upgrade):
                    self._make_up(rounds)
                return is_right
        except ValueError:
            # Plain bcrypt rejects NUL, and what is stored need not be a hash at all.
            pass
        self._compute(self._rounds)
        return False

    def _rounds_of(self, hashed: str) -> int:
        """Raises ValueError for what is no hash of ours."""
        scheme = self._context.identify(hashed, required=True, resolve=True)
        rounds: int = scheme.from_string(hashed).rounds
        return rounds

    def _make_up(self, rounds: int) -> None:
        """Compute hashes of these and more rounds, which take the time that is missing.

        Each step doubles the time: rounds of 8, and then 8, 9, 10 and 11 take as long as 12.
        """
        for missing in range(max(rounds, _LOWEST_ROUNDS), self._rounds):
            self._compute(missing)

    def _compute(self, rounds: int) -> None:
        # Not the password that was sent: it may be one that bcrypt rejects.
        self._context.verify("", _DUMMY_HASH.format(rounds=rounds))


def normalise(password: str) -> str:
    """NFKC, so that one password typed on two systems is the same password."""
    return unicodedata.normalize("NFKC", password)
