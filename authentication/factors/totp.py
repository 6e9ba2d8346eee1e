"""Codes of authenticator apps (RFC 6238): six digits by SHA-1, a new one every 30 seconds.

Nothing here reads a clock or the database: the time is that of the database, and a code works once
because its step is stored: see `queries.totp_factors.use_step`.
"""

import hmac
import io
import secrets
from base64 import b32encode
from datetime import datetime

import segno
from pyotp import TOTP

STEP_SECONDS = 30
SECRET_BYTES = 20
"""As long as a SHA-1, which RFC 4226, 4 recommends."""

_DIGITS = 6
# The step before, for a code that was read just before it changed, and none ahead: the clock of an
# app that is ahead is wrong.
_STEPS_BACK = 1


def create_secret() -> bytes:
    """A new secret, for the app and, sealed, for the database."""
    return secrets.token_bytes(SECRET_BYTES)


def encode(secret: bytes) -> str:
    """The secret as people type it into an app, in base 32."""
    return b32encode(secret).decode()


def uri(secret: bytes, *, account: str, issuer: str) -> str:
    """What the QR code says. Apps show the issuer and the account.

    A colon divides the two, so the issuer is written without.
    """
    issuer = issuer.replace(":", "")
    return TOTP(encode(secret)).provisioning_uri(name=account, issuer_name=issuer)


def svg(uri: str) -> str:
    """The QR code as an SVG without script and style, to be put into a page as it is."""
    out = io.BytesIO()
    segno.make(uri, error="m").save(out, kind="svg", xmldecl=False, scale=4, border=4)
    return out.getvalue().decode()


def clean(code: str) -> str | None:
    """The code without the spaces that apps show in it. None if it is none: ASCII digits only."""
    digits = code.replace(" ", "")
    return digits if len(digits) == _DIGITS and digits.isascii() and digits.isdigit() else None


def find_step(secret: bytes, code: str, now: datetime) -> int | None:
    """The step that a cleaned code is of, if it is accepted at this time."""
    current = int(now.timestamp()) // STEP_SECONDS
    totp = TOTP(encode(secret))
    for step in range(current, max(current - _STEPS_BACK, 0) - 1, -1):
        if hmac.compare_digest(totp.generate_otp(step), code):
            return step
    return None
