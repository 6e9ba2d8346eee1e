"""Reads what forms say about second factors and passkeys."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from api.request import credentials
from authentication.factors.passkeys.messages import Assertion, Registration
from authentication.factors.proofs import Proof
from schemas.base import Schema
from schemas.passkeys import NewCredential, SignedCredential

S = TypeVar("S", bound=Schema)


def read(field: Callable[[str], str], prefix: str = "") -> Proof | None:
    """A second factor, in fields whose names begin like that. None if there is none."""
    if passkey := field(f"{prefix}passkey"):
        return Proof(passkey=read_assertion(passkey))
    code, recovery_code = field(f"{prefix}code"), field(f"{prefix}recovery_code")
    if not code and not recovery_code:
        return None
    return Proof(code=code or None, recovery_code=recovery_code or None)


def read_assertion(text: str) -> Assertion:
    """A signature as JSON. Invalid JSON becomes a signature that is never valid."""
    sent = _parse(SignedCredential, text)
    return Assertion(b"", b"", b"", b"") if sent is None else credentials.assertion(sent)


def read_registration(text: str) -> Registration:
    """A new passkey as JSON. Invalid JSON becomes a passkey that is never valid."""
    sent = _parse(NewCredential, text)
    return Registration(b"", b"", b"") if sent is None else credentials.registration(sent)


def _parse(schema: type[S], text: str) -> S | None:
    try:
        return schema.model_validate_json(text)
    except ValidationError:
        return None
