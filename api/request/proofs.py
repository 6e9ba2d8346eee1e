"""What clients send as a second factor, as the rules take it."""

from authentication.factors.proofs import Proof
from schemas.factors import GivenFactor


def read(given: GivenFactor) -> Proof | None:
    """The proof; None if something else was given in its place, such as a password."""
    proof = Proof(code=given.code, recovery_code=given.recovery_code)
    return None if proof == Proof() else proof
