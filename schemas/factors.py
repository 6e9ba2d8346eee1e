"""Bodies about second factors."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from database import limits
from schemas.base import Schema
from schemas.passkeys import MfaToken, SignedCredential
from schemas.text import Name, Pasted, Printable

_MFA_TOKEN = "cft_9sVhE2u7kLx0PqYtR4mWc6nBzA1dJf3gKo8iXwNe5l2Hv4Tq"
_RECOVERY_CODE = "K5QW-2M7T-ZR4H-XD3P-6LJA-VB2C"

Code = Annotated[str, Pasted, StringConstraints(min_length=1, max_length=50), Printable]


class GivenFactor(Schema):
    """A second factor: exactly one of its members."""

    model_config = ConfigDict(extra="forbid")

    code: Code | None = None
    """The code that an authenticator app shows. It works once."""

    recovery_code: Code | None = None
    """One of the recovery codes. It works once."""

    passkey: SignedCredential | None = None
    """What the browser returned for the options of `POST /passkeys/login/options`."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in self.alternatives() if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"send exactly one of {', '.join(self.alternatives())}")
        return self

    @classmethod
    def alternatives(cls) -> tuple[str, ...]:
        """The members of which one has to be sent."""
        return tuple(GivenFactor.model_fields)


class SecondFactor(GivenFactor):
    """What completes a login whose password was right."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"mfa_token": _MFA_TOKEN, "code": "492039"},
                {"mfa_token": _MFA_TOKEN, "recovery_code": _RECOVERY_CODE},
            ]
        }
    )

    mfa_token: MfaToken
    """What the login was answered with."""


class TotpCreate(Schema):
    """An authenticator app to add."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Phone"}]})

    name: Name = Field("Authenticator app", max_length=limits.MAX_LABEL_LENGTH)
    """How the user calls it."""


class TotpCreated(Schema):
    """What the app needs. It is shown only once."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    """The id of the app."""

    secret: str = Field(examples=["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"])
    """For those who cannot scan the QR code."""

    uri: str = Field(examples=["otpauth://totp/auth.example.org:ada%40example.org?secret=GEZD..."])
    """What the QR code says."""

    svg: str = Field(examples=["<svg ...>"])
    """The QR code as a picture, without script or style."""


class TotpConfirm(Schema):
    """The first code that the app shows."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "492039"}]})

    code: Code
    """The code."""


class RecoveryCodeSet(Schema):
    """Codes in place of a second factor that is lost. They are shown only once."""

    recovery_codes: list[str] = Field(examples=[[_RECOVERY_CODE]])
    """Each works once. Empty if the user has some from before."""


class FactorRead(Schema):
    """A second factor that logins ask for."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    """Its id."""

    kind: Literal["totp", "passkey"]
    """An authenticator app, or a passkey."""

    name: str
    """How the user calls it."""

    created_at: datetime
    """When it was added."""

    last_used_at: datetime | None
    """When the passkey last signed. Not known of an app."""

    clone_suspected_at: datetime | None
    """When a copy of the passkey was rejected."""


class FactorsRead(Schema):
    """The second factors of a user."""

    model_config = ConfigDict(from_attributes=True)

    factors: list[FactorRead]
    """Oldest first. Without any, logins ask only for the password."""

    recovery_codes_left: int
    """How many recovery codes have not been used."""


class FactorsRemoved(Schema):
    """How many second factors were removed."""

    removed: int
    """How many; recovery codes do not count."""
