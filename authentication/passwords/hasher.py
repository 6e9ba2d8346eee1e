"""Hashes and checks passwords.

bcrypt takes a quarter of a second of a core, on purpose: authentication/passwords/queue.py bounds
how many passwords are hashed at a time.
"""

import math
import sys
import unicodedata
import warnings
from functools import cached_property, partial
from typing import NamedTuple

from authentication.passwords import foreign
from authentication.passwords.foreign import ForeignHashes
from authentication.settings import MAX_BCRYPT_ROUNDS, AuthenticationSettings
from database import limits
from database.models import user as stored_user

with warnings.catch_warnings():
    # passlib imports the standard library's crypt, which Python 3.13 has dropped.
    warnings.simplefilter("ignore", DeprecationWarning)
    from passlib.context import CryptContext


# A well-formed hash that no password is known for. Checking one costs what any check of a hash of
# these rounds costs. passlib's dummy_verify() would compute such a hash first, which adds a login's
# time to each start.
_DUMMY_HASH = f"$bcrypt-sha256$v=2,t=2b,r={{rounds}}${'.' * 22}${'.' * 31}"

NO_PASSWORD = stored_user.NO_PASSWORD

_LOWEST_ROUNDS = 4
_SAMPLE_ROUNDS = 9


class _Check(NamedTuple):
    """Whether a password is right, and how much work it was to find out.

    The work is counted as bcrypt's rounds count it: that of 12 rounds is 2**12.
    """

    is_right: bool
    work: int


class PasswordHasher:
    """bcrypt over SHA-256, which neither cuts a password at 72 bytes nor rejects NUL.

    Plain bcrypt hashes, such as an administrator inserts by SQL, are accepted and reported as due
    for an upgrade. So are those of other systems, if the settings say so.
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
        self._foreign = ForeignHashes(settings.foreign_password_hashes)

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
        less than is set, it is the same. Nothing can be made up for a hash that cost more. Where
        hashes of other systems are accepted, all checks take as long as the costliest of these.

        Computing a better hash takes as long again, so `upgrade` is for users who may log in.
        """
        # Longer ones were never stored, and normalising them would hold the interpreter too long.
        if len(password) > limits.MAX_PASSWORD_LENGTH:
            self._make_up(0)
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
        is_due = is_storable and (not is_right or self._is_outdated(hashed))
        return True, self.hash(password) if upgrade and is_due else None

    def is_known(self, hashed: str) -> bool:
        """Whether a hash is well-formed, of a kind that can be checked, and not too costly."""
        if self._context.identify(hashed) is None:
            return self._foreign.identify(hashed)
        try:
            return self._rounds_of(hashed) <= MAX_BCRYPT_ROUNDS
        except ValueError:
            return False

    def _matches(self, password: str, hashed: str | None, *, upgrade: bool) -> bool:
        """Takes the time of one hash by the settings, unless a better one is computed next."""
        check = _Check(False, 0) if hashed is None else self._check(password, hashed)
        if not (check.is_right and upgrade):
            self._make_up(check.work)
        return check.is_right

    def _check(self, password: str, hashed: str) -> _Check:
        """A hash of a cost that no setting allows, and which takes up to hours, matches nothing."""
        try:
            if self._context.identify(hashed) is None:
                is_right, seconds = self._foreign.check(password, hashed)
                return _Check(is_right, self._work_of(seconds))
            rounds = self._rounds_of(hashed)
            if rounds <= MAX_BCRYPT_ROUNDS:
                return _Check(self._context.verify(password, hashed), 1 << rounds)
        except ValueError:
            # Plain bcrypt rejects NUL, and what is stored need not be a hash at all.
            pass
        return _Check(False, 0)

    def _is_outdated(self, hashed: str) -> bool:
        return self._context.identify(hashed) is None or self._context.needs_update(hashed)

    def _rounds_of(self, hashed: str) -> int:
        """Raises ValueError for what is no hash of ours."""
        scheme = self._context.identify(hashed, required=True, resolve=True)
        rounds: int = scheme.from_string(hashed).rounds
        return rounds

    def _make_up(self, work: int) -> None:
        """Compute hashes that take the time that is missing.

        Each of the rounds doubles the work, so the binary digits of what is missing say which.
        """
        missing = max(0, self._work - work)
        for rounds in range(_LOWEST_ROUNDS, missing.bit_length()):
            if missing & (1 << rounds):
                self._compute(rounds)

    @cached_property
    def _work(self) -> int:
        """What the check of any password takes."""
        usual = self._foreign.usual_seconds
        if not usual:
            return 1 << self._rounds
        # The first use of a scheme computes more hashes, to see whether the library works, and
        # would be measured with it.
        self._compute(_LOWEST_ROUNDS)
        return max(1 << self._rounds, self._work_of(usual))

    def _work_of(self, seconds: float) -> int:
        """As many seconds of this thread in work, by a measurement, which is part of the work.

        Measured each time, as the speed of a processor depends on what else it does.
        """
        if not seconds:
            return 0
        sample = 1 << _SAMPLE_ROUNDS
        measured = foreign.seconds_of(partial(self._compute, _SAMPLE_ROUNDS))
        return sample + math.ceil(seconds / max(measured, sys.float_info.epsilon) * sample)

    def _compute(self, rounds: int) -> None:
        # Not the password that was sent: it may be one that bcrypt rejects.
        self._context.verify("", _DUMMY_HASH.format(rounds=rounds))


def normalise(password: str) -> str:
    """NFKC, so that one password typed on two systems is the same password."""
    return unicodedata.normalize("NFKC", password)
