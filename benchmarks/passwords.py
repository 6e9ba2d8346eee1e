"""The password of every user that the benchmarks make, and its hash."""

from authentication.passwords.hasher import PasswordHasher
from authentication.settings import AuthenticationSettings

PASSWORD = "plum-harbour-violet-benchmark"
ROUNDS = 12


def hash_password() -> str:
    """As the product stores it, so that a login finds nothing to upgrade."""
    return PasswordHasher(AuthenticationSettings(bcrypt_rounds=ROUNDS)).hash(PASSWORD)
