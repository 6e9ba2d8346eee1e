"""The password of all benchmark users, and its hash."""

from authentication.passwords.hasher import PasswordHasher
from authentication.settings import AuthenticationSettings

PASSWORD = "plum-harbour-violet-benchmark"
ROUNDS = 12


def hash_password() -> str:
    """The hash as the product stores it, so that a login does not upgrade it."""
    return PasswordHasher(AuthenticationSettings(bcrypt_rounds=ROUNDS)).hash(PASSWORD)
