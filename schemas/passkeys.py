"""Bodies about passkeys, in the JSON forms of Web Authentication Level 3 (5.1.7 and 5.1.8).

Browsers make and read them by themselves: `PublicKeyCredential.parseCreationOptionsFromJSON`,
`parseRequestOptionsFromJSON` and `JSON.stringify(credential)`. What they add is ignored.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from database import limits
from schemas.base import Schema
from schemas.text import Name, Pasted, Printable, Scope, ShortText

_is_base64url = re.compile(r"[A-Za-z0-9_-]*={0,2}").fullmatch
# An attestation that nobody asked for may have certificates in it.
_MAX_LENGTH = 24_000


def _decode(value: object) -> object:
    if not isinstance(value, str) or len(value) > _MAX_LENGTH or not _is_base64url(value):
        raise ValueError("must be base64url")
    bare = value.rstrip("=")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        raise ValueError("must be base64url") from None


Base64Url = Annotated[
    bytes,
    BeforeValidator(_decode),
    WithJsonSchema({"type": "string", "format": "base64url", "maxLength": _MAX_LENGTH}),
]
MfaToken = Annotated[
    str,
    Pasted,
    StringConstraints(min_length=1, max_length=limits.MAX_LABEL_LENGTH),
    Printable,
]
Transport = Annotated[str, Field(max_length=32, pattern=r"^[a-z-]+$")]


class AttestationResponse(Schema):
    """What the authenticator made."""

    clientDataJSON: Base64Url
    """What the browser says about the page."""

    attestationObject: Base64Url
    """The public key, among other things."""

    transports: list[Transport] = Field(default_factory=list, max_length=10)
    """How the authenticator can be reached."""


class AssertionResponse(Schema):
    """What the authenticator signed."""

    clientDataJSON: Base64Url
    """What the browser says about the page."""

    authenticatorData: Base64Url
    """What the authenticator says about itself and the user."""

    signature: Base64Url
    """The signature of both."""

    userHandle: Base64Url | None = None
    """Whose passkey it is."""


class NewCredential(Schema):
    """`JSON.stringify` of what `navigator.credentials.create()` returns."""

    rawId: Base64Url
    """The id of the credential."""

    type: Literal["public-key"]
    """What kind of credential it is."""

    response: AttestationResponse
    """The new key, and proof of the challenge."""


class SignedCredential(Schema):
    """`JSON.stringify` of what `navigator.credentials.get()` returns."""

    rawId: Base64Url
    """The id of the credential."""

    type: Literal["public-key"]
    """What kind of credential it is."""

    response: AssertionResponse
    """The signature, and what it is over."""


class PasskeyCreate(Schema):
    """A new passkey, and how its user calls it."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    """What its owner calls it."""

    credential: NewCredential
    """What the browser returned."""


class PasskeyRename(Schema):
    """The new name."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Ada's phone"}]}
    )

    name: Name
    """What its owner calls it."""


class PasskeyLoginOptions(Schema):
    """Nothing, or the login to which the passkey is the second factor."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    mfa_token: MfaToken | None = None
    """Of a login that was answered with `second_factor_required`. The user is known then."""


class PasskeyLogin(Schema):
    """Unknown fields are rejected: a misspelt `scope` would give the token all scopes."""

    model_config = ConfigDict(extra="forbid")

    credential: SignedCredential
    """What the browser returned."""

    client_id: ShortText | None = None
    """A label that the client chooses for itself. A refresh has to name the same."""

    scope: Scope | None = None
    """Scopes, separated by spaces. Default: all that the roles of the user grant."""


class PasskeyRead(Schema):
    """A passkey, without its key."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0b9ad1f6-2f1c-4c7e-9c3f-5f2f1f0a6a51",
                    "name": "Ada's phone",
                    "backed_up": True,
                    "created_at": "2026-11-21T09:30:00Z",
                    "last_used_at": "2026-11-24T10:12:00Z",
                    "clone_suspected_at": None,
                }
            ]
        },
    )

    id: UUID
    """The id of the passkey, which is no secret."""

    name: str
    """What its owner calls it."""

    backed_up: bool
    """Whether it is synchronised to other devices, or can be restored on a new one."""

    created_at: datetime
    """When it was made."""

    last_used_at: datetime | None
    """When somebody last signed in with it."""

    clone_suspected_at: datetime | None
    """When a signature was last rejected because a copy of the passkey may have made it."""


class PasskeyCreated(PasskeyRead):
    """A new passkey."""

    recovery_codes: list[str] = Field(examples=[["K5QW-2M7T-ZR4H-XD3P-6LJA-VB2C"]])
    """Codes in place of a passkey that is lost, each for once. Empty if the user has some."""


class RelyingParty(Schema):
    """The domain that the passkey is for."""

    id: str = Field(examples=["example.org"])
    """The domain."""

    name: str = Field(examples=["example.org"])
    """The same, as standards still demand it."""


class PasskeyUser(Schema):
    """The user, as the device shows them."""

    id: str
    """A random name of the user for authenticators, in base64url."""

    name: str = Field(examples=["ada@example.org"])
    """The e-mail address."""

    displayName: str = Field(examples=["Ada Lovelace"])
    """The name."""


class Algorithm(Schema):
    """A signature algorithm."""

    type: Literal["public-key"]
    """What kind of credential it is."""

    alg: int = Field(examples=[-7])
    """Its number in the registry of COSE."""


class CredentialDescriptor(Schema):
    """A passkey that the user has."""

    type: Literal["public-key"]
    """What kind of credential it is."""

    id: str
    """The id of the credential, in base64url."""

    transports: list[str] = Field(examples=[["internal", "hybrid"]])
    """How the authenticator can be reached."""


class AuthenticatorSelection(Schema):
    """What the authenticator has to be able to do."""

    residentKey: Literal["required"]
    """It keeps the passkey, so that its user need not type a name."""

    requireResidentKey: Literal[True]
    """The same for older browsers."""

    userVerification: Literal["required"]
    """It verifies its user, by a PIN or a fingerprint."""


class CreationOptions(Schema):
    """For `navigator.credentials.create()`, by `parseCreationOptionsFromJSON`."""

    rp: RelyingParty
    """Who asks for the passkey."""

    user: PasskeyUser
    """Whose passkey it will be."""

    challenge: str
    """What the authenticator has to sign, once and within five minutes, in base64url."""

    pubKeyCredParams: list[Algorithm]
    """The algorithms that are accepted, the preferred one first."""

    timeout: int = Field(examples=[300_000])
    """The five minutes, in milliseconds."""

    excludeCredentials: list[CredentialDescriptor]
    """The passkeys that the user has: no authenticator makes a second one."""

    authenticatorSelection: AuthenticatorSelection
    """Which authenticators are accepted."""

    attestation: Literal["none"]
    """The model of the authenticator does not matter."""


class RequestOptions(Schema):
    """For `navigator.credentials.get()`, by `parseRequestOptionsFromJSON`."""

    challenge: str
    """What the authenticator has to sign, once and within five minutes, in base64url."""

    timeout: int = Field(examples=[300_000])
    """The five minutes, in milliseconds."""

    rpId: str = Field(examples=["example.org"])
    """The domain that the passkey is for."""

    allowCredentials: list[CredentialDescriptor]
    """The passkeys of the user; empty if it is not known yet who that is."""

    userVerification: Literal["required"]
    """The authenticator verifies its user, by a PIN or a fingerprint."""
