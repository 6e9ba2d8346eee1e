"""What clients send as a second factor, as the rules take it."""

from api.request import credentials
from authentication.factors.proofs import Proof
from schemas.factors import GivenFactor


def read(given: GivenFactor) -> Proof | None:
    """The proof; None if something else was given in its place, such as a password."""
    passkey = None if given.passkey is None else credentials.assertion(given.passkey)
    proof = Proof(code=given.code, recovery_code=given.recovery_code, passkey=passkey)
    return None if proof == Proof() else proof
