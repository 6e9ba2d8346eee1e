"""Verifies what an authenticator has sent (Web Authentication Level 3, 7.1 and 7.2).

Of the library, this uses what reads and checks single values. Which of them must be checked, and in
which order, is written here. Nothing here knows the database: that a challenge is used only once,
and that a counter does not fall, is ensured by the statements in database/queries/.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

from authentication.factors.passkeys.messages import (
    ALGORITHMS,
    CHALLENGE_LENGTH,
    Assertion,
    InvalidResponse,
    KnownCredential,
    NewCredential,
    Registration,
    Signed,
)
from authentication.factors.passkeys.relying_party import RelyingParty
from database import limits

_CREATE = "webauthn.create"
_GET = "webauthn.get"

T = TypeVar("T")


def read_challenge(client_data: bytes) -> bytes:
    """The challenge that was signed, by which its row is found. Raises InvalidResponse."""
    challenge = _parse(CollectedClientData, client_data, "client data").challenge
    if len(challenge) != CHALLENGE_LENGTH:
        raise InvalidResponse("length of the challenge")
    return challenge


def verify_registration(
    party: RelyingParty, registration: Registration, *, challenge: bytes
) -> NewCredential:
    """Check a new credential. Raises InvalidResponse.

    The attestation, by which a manufacturer vouches for a device, is not asked for and not read.
    """
    _check_client_data(party, registration.client_data, _CREATE, challenge)
    attested = _parse(AttestationObject, registration.attestation_object, "attestation object")
    data = attested.auth_data
    _check_authenticator_data(party, data)
    credential = data.credential_data
    if credential is None:
        raise InvalidResponse("no credential")
    if credential.credential_id != registration.credential_id:
        raise InvalidResponse("another credential id")
    if not 0 < len(credential.credential_id) <= limits.MAX_CREDENTIAL_ID_LENGTH:
        raise InvalidResponse("length of the credential id")
    return NewCredential(
        credential_id=credential.credential_id,
        public_key=_usable_key(credential),
        sign_count=data.counter,
        backup_eligible=data.is_backup_eligible(),
        backed_up=data.is_backed_up(),
        aaguid=UUID(bytes=bytes(credential.aaguid)),
    )


def verify_assertion(
    party: RelyingParty,
    assertion: Assertion,
    known: KnownCredential,
    *,
    challenge: bytes,
    needs_user_handle: bool,
) -> Signed:
    """Check a signature by a credential that is known. Raises InvalidResponse.

    `needs_user_handle`: whether the signature alone says whose credential it is.
    """
    _check_client_data(party, assertion.client_data, _GET, challenge)
    data = _parse(AuthenticatorData, assertion.authenticator_data, "authenticator data")
    _check_authenticator_data(party, data)
    if assertion.user_handle is None and needs_user_handle:
        raise InvalidResponse("no user handle")
    if assertion.user_handle not in {None, known.user_handle}:
        raise InvalidResponse("another user's handle")
    if data.is_backup_eligible() != known.backup_eligible:
        raise InvalidResponse("backup eligibility has changed")
    client_data = _parse(CollectedClientData, assertion.client_data, "client data")
    _check_signature(known.public_key, data + client_data.hash, assertion.signature)
    return Signed(data.counter, data.is_backed_up())


def _check_client_data(party: RelyingParty, raw: bytes, kind: str, challenge: bytes) -> None:
    client_data = _parse(CollectedClientData, raw, "client data")
    if client_data.type != kind:
        raise InvalidResponse("another type of client data")
    if client_data.challenge != challenge:
        raise InvalidResponse("another challenge")
    # As text, because it may be anything that JSON has.
    if str(client_data.origin) not in party.origins:
        raise InvalidResponse("another origin")
    # A page of another site has embedded ours, and may have drawn something over it.
    if client_data.cross_origin is not False or _top_origin(raw) is not None:
        raise InvalidResponse("within a page of another site")


def _top_origin(client_data: bytes) -> object:
    """The page that has embedded ours, which the library does not read."""
    return _parse(json.loads, client_data, "client data").get("topOrigin")


def _check_authenticator_data(party: RelyingParty, data: AuthenticatorData) -> None:
    if data.rp_id_hash != party.id_hash:
        raise InvalidResponse("another domain")
    if not data.is_user_present():
        raise InvalidResponse("no user was present")
    # Without this, a passkey would be one factor: the possession of the device.
    if not data.is_user_verified():
        raise InvalidResponse("the user was not verified")
    if data.is_backed_up() and not data.is_backup_eligible():
        raise InvalidResponse("backed up, but not eligible for it")


def _usable_key(credential: AttestedCredentialData) -> bytes:
    """The public key as it is stored, unless no signature could ever be verified with it."""
    key = credential.public_key
    if key.ALGORITHM not in ALGORITHMS:
        raise InvalidResponse("another algorithm")
    encoded = cbor.encode(key)
    if len(encoded) > limits.MAX_PUBLIC_KEY_LENGTH:
        raise InvalidResponse("length of the public key")
    try:
        key.verify(b"", b"")
    except InvalidSignature:
        return encoded
    except Exception as error:
        # A point that is not on the curve, a missing parameter, a parameter of another type.
        raise InvalidResponse("public key") from error
    raise InvalidResponse("public key")


def _check_signature(public_key: bytes, message: bytes, signature: bytes) -> None:
    key = _parse(_decode_key, public_key, "public key")
    try:
        key.verify(message, signature)
    except Exception as error:
        # Usually InvalidSignature; the libraries raise others for what is no signature at all.
        raise InvalidResponse("signature") from error


def _decode_key(encoded: bytes) -> CoseKey:
    return CoseKey.parse(cast(Mapping[int, Any], cbor.decode(encoded)))


def _parse(parser: Callable[[bytes], T], raw: bytes, name: str) -> T:
    """What senders can make up raises errors of many kinds, also RecursionError and KeyError."""
    try:
        return parser(raw)
    except Exception as error:
        raise InvalidResponse(f"malformed {name}") from error
