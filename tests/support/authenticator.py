"""An authenticator in software: makes passkeys and signs, wrongly if it is told to."""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40

Json = dict[str, Any]


def encode(raw: bytes) -> str:
    """base64url without padding, as browsers write it."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey:
    """A credential on one device. `flags` and `sign_count` are what the next signature says."""

    origin: str = "http://localhost:8000"
    rp_id: str = "localhost"
    flags: int = PRESENT | VERIFIED
    sign_count: int = 0
    steps: int = 1
    """By how much the counter rises with each signature. Synced passkeys have none."""

    id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    user_handle: bytes | None = None
    client_data: Json = field(default_factory=dict)
    """What the client data says in addition, or instead. It leaves out what is an ellipsis."""

    @classmethod
    def synced(cls, **changes: Any) -> Self:
        """One that a password manager copies to all devices of its user."""
        flags = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP
        return cls(flags=flags, steps=0, **changes)

    def clone(self, **changes: Any) -> Self:
        """A copy of the key, as somebody has who could read the device."""
        return replace(self, **changes)

    @property
    def cose_key(self) -> Any:
        from_key: Any = ES256.from_cryptography_key
        return from_key(self.key.public_key())

    def register(self, options: Json) -> Json:
        """What a browser sends for the options of a registration."""
        self.user_handle = decode(options["user"]["id"])
        client_data = self._client_data("webauthn.create", options["challenge"])
        statement = {"fmt": "none", "attStmt": {}, "authData": self._attested()}
        response = {
            "clientDataJSON": encode(client_data),
            "attestationObject": encode(cbor.encode(statement)),
            "transports": ["internal", "hybrid"],
        }
        return self._credential(response)

    def sign(self, options: Json) -> Json:
        """What a browser sends for the options of a login."""
        self.sign_count += self.steps
        client_data = self._client_data("webauthn.get", options["challenge"])
        data = self._authenticator_data(self.flags)
        signed = data + sha256(client_data).digest()
        response = {
            "clientDataJSON": encode(client_data),
            "authenticatorData": encode(data),
            "signature": encode(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
        }
        if self.user_handle is not None:
            response["userHandle"] = encode(self.user_handle)
        return self._credential(response)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said: Json = {
            "type": kind,
            "challenge": challenge,
            "origin": self.origin,
            "crossOrigin": False,
        }
        said |= self.client_data
        return json.dumps({name: one for name, one in said.items() if one is not ...}).encode()

    def _authenticator_data(self, flags: int) -> bytes:
        hashed = sha256(self.rp_id.encode()).digest()
        return hashed + bytes([flags]) + self.sign_count.to_bytes(4, "big")

    def _attested(self) -> bytes:
        length = len(self.id).to_bytes(2, "big")
        credential = bytes(16) + length + self.id + cbor.encode(self.cose_key)
        return self._authenticator_data(self.flags | ATTESTED) + credential

    def _credential(self, response: Json) -> Json:
        return {
            "id": encode(self.id),
            "rawId": encode(self.id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }
