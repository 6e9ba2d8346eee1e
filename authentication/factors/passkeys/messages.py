"""What authenticators send, and what is kept of it (Web Authentication Level 3)."""

from dataclasses import dataclass
from uuid import UUID

ALGORITHMS = (-7, -8, -257)
"""ES256, EdDSA and RS256: what we ask for, in order of preference. Nothing else is accepted."""

CHALLENGE_LENGTH = 32
"""In bytes. 16 are enough (Web Authentication Level 3, 13.4.3)."""


class InvalidResponse(Exception):
    """What the authenticator sent is rejected. The text is for the audit log, not for clients."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A new credential, as `navigator.credentials.create()` returns it."""

    credential_id: bytes
    client_data: bytes
    attestation_object: bytes
    transports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assertion:
    """A signature, as `navigator.credentials.get()` returns it."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What is stored of a registration. `public_key` is a COSE key in CBOR."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    aaguid: UUID


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """What a signature is compared with. `user_handle` is that of the owner."""

    public_key: bytes
    backup_eligible: bool
    user_handle: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """What a valid signature says. The counter must be compared with that of the last one."""

    sign_count: int
    backed_up: bool
