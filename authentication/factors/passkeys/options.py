"""What browsers and apps are told to make or sign (Web Authentication Level 3, 5.4 and 5.5)."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from authentication.factors.passkeys.messages import ALGORITHMS
from authentication.factors.passkeys.relying_party import RelyingParty
from database.models import Passkey, User

CHALLENGE_SECONDS = 300

Options = dict[str, Any]
"""In the JSON form of the standard."""


def for_registration(
    party: RelyingParty, user: User, handle: bytes, passkeys: Sequence[Passkey], challenge: bytes
) -> Options:
    """A passkey that its user need not name, and by which the device verifies them.

    Authenticators that have one of the user's passkeys make no second one.
    """
    return {
        "rp": {"id": party.id, "name": party.id},
        "user": {
            "id": encode(handle),
            "name": user.email,
            "displayName": " ".join(filter(None, [user.name, user.surname])),
        },
        "challenge": encode(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": one} for one in ALGORITHMS],
        "timeout": CHALLENGE_SECONDS * 1000,
        "excludeCredentials": _describe(passkeys),
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def for_login(party: RelyingParty, passkeys: Sequence[Passkey], challenge: bytes) -> Options:
    """A signature by one of these passkeys; by any that the user chooses if there are none."""
    return {
        "challenge": encode(challenge),
        "timeout": CHALLENGE_SECONDS * 1000,
        "rpId": party.id,
        "allowCredentials": _describe(passkeys),
        "userVerification": "required",
    }


def encode(raw: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _describe(passkeys: Sequence[Passkey]) -> list[Options]:
    return [
        {
            "type": "public-key",
            "id": encode(passkey.credential_id),
            "transports": (passkey.transports or "").split(),
        }
        for passkey in passkeys
    ]
