"""What browsers send about passkeys, as the rules take it."""

from authentication.factors.passkeys.messages import Assertion, Registration
from schemas.passkeys import NewCredential, SignedCredential


def registration(sent: NewCredential) -> Registration:
    """A new passkey."""
    return Registration(
        credential_id=sent.rawId,
        client_data=sent.response.clientDataJSON,
        attestation_object=sent.response.attestationObject,
        transports=tuple(sent.response.transports),
    )


def assertion(sent: SignedCredential) -> Assertion:
    """A signature."""
    return Assertion(
        credential_id=sent.rawId,
        client_data=sent.response.clientDataJSON,
        authenticator_data=sent.response.authenticatorData,
        signature=sent.response.signature,
        user_handle=sent.response.userHandle,
    )
