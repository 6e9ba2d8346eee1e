"""Errors of the rules, without HTTP: api/errors.py maps them to statuses.

CounterfoilError
├── InvalidCredentials          a login that failed, for whichever reason
├── WrongPassword               the current password, asked for once more, is wrong
├── SecondFactorRequired        the password is right, or is not enough: a second factor is asked
├── InvalidMfaToken             a login that waited for its second factor has ended
├── InvalidCode                 the second factor of a login is wrong
├── WrongCode                   the second factor that confirms a session is wrong
├── TotpUnavailable             the secrets of authenticator apps cannot be read
├── InvalidPasskey              a login with a passkey that failed, for whichever reason
├── InvalidPasskeyRegistration  what a browser sent as a new passkey cannot be accepted
├── EmailUnverified             the password is right, and the address is not verified
├── InvalidMailToken            a link or a code of a mail: unknown, used, expired or void
├── RegistrationClosed          clients may not create accounts
├── InvalidScope                a scope was asked for that cannot be given
├── InvalidRefreshToken         unknown, expired, used, revoked or another client's
├── InvalidClient               a client that is unknown, disabled or does not prove who it is
├── InvalidAuthorization        a request of an unknown client, or to an address it may not name
├── UnauthorizedClient          a registered client may not get tokens in this way
├── InvalidGrant                an authorization code or a device code is not valid
├── AuthorizationPending        the user has not decided yet what a device asked for
├── SlowDown                    a device asks more often than it may
├── AccessDenied                the user has denied it
├── DeviceCodeExpired           the user has not decided in time
├── InvalidTransaction          the page of a request is too old, or another session's
├── InvalidUserCode             no device shows this code
├── SessionLimitReached         the user has as many sessions as allowed
├── ApiKeyRequired              a session's token will not do
├── HashingBusy                 too many passwords are waiting to be hashed
├── MailBusy                    too many requests for mails are waiting
├── TooManyAttempts             a limit of the throttle is reached
├── Conflict
│   ├── EmailTaken
│   ├── AlreadyVerified         the address needs no verification
│   ├── UsernameTaken
│   ├── ReleasedNameLimitReached  the user has given up as many names as allowed
│   ├── RoleTaken
│   ├── RoleRequired            new accounts get this role
│   ├── RolesReadOnly           the service's role in the database may not change roles
│   ├── PasswordSet             somebody can log in to this account
│   ├── ClientExists            a client with this id is registered already
│   ├── NotEmpty                the database is not empty
│   ├── ApiKeyLimitReached      the user has as many API keys as allowed
│   ├── TotpLimitReached        the user has as many authenticator apps as allowed
│   ├── LastFactor              a role of the user requires a second factor
│   ├── PasskeyLimitReached     the user has as many passkeys as allowed
│   ├── CredentialKnown         the authenticator's credential is registered already
│   ├── ApiKeyReplaced          it has been rotated before
│   └── LastAdministrator       no administrator would remain
├── NotFound                    no such thing, or not yours
└── InvalidField                a value that a rule rejects
    └── WeakPassword
"""

from collections.abc import Sequence
from typing import Any

from counterfoil.errors import CounterfoilError


class InvalidCredentials(CounterfoilError):
    code = "invalid_credentials"
    detail = "The user name or the password is wrong."


class WrongPassword(CounterfoilError):
    code = "wrong_password"
    detail = "The current password is wrong."


class SecondFactorRequired(CounterfoilError):
    """`methods` are what can be given, the strongest first: members of the request that follows.

    `mfa_token` is for a login that waits for it. Without, a session is to be confirmed.
    """

    code = "second_factor_required"
    detail = "This needs your second factor."

    def __init__(
        self,
        methods: Sequence[str],
        *,
        mfa_token: str | None = None,
        expires_in: int | None = None,
    ) -> None:
        self.methods = list(methods)
        self.mfa_token = mfa_token
        self.expires_in = expires_in
        super().__init__()

    @property
    def members(self) -> dict[str, Any]:
        """What a response says beside code and detail."""
        members = {
            "methods": self.methods,
            "mfa_token": self.mfa_token,
            "expires_in": self.expires_in,
        }
        return {name: value for name, value in members.items() if value is not None}


class InvalidMfaToken(CounterfoilError):
    code = "invalid_mfa_token"
    detail = "This login has ended. Log in again."


class InvalidCode(CounterfoilError):
    code = "invalid_code"
    detail = "This code is wrong, or was used before."


class WrongCode(CounterfoilError):
    """Not InvalidCode: the session of the request is as valid as before."""

    code = "wrong_code"
    detail = "This code is wrong, or was used before."


class TotpUnavailable(CounterfoilError):
    code = "totp_unavailable"
    detail = "Codes of authenticator apps cannot be checked at the moment. Use another factor."


class InvalidPasskey(CounterfoilError):
    code = "invalid_passkey"
    detail = "This passkey was not accepted. Try again, or sign in in another way."


class InvalidPasskeyRegistration(CounterfoilError):
    code = "invalid_passkey_registration"
    detail = "This passkey cannot be added. Start again: what was to be signed works once."


class EmailUnverified(CounterfoilError):
    code = "email_unverified"
    detail = "Confirm your e-mail address first. A mail with a link is on its way."


class InvalidMailToken(CounterfoilError):
    code = "invalid_mail_token"
    detail = "This link or code does not work any more. Ask for a new mail."


class RegistrationClosed(CounterfoilError):
    code = "registration_closed"
    detail = "Accounts are created by an administrator here."


class InvalidScope(CounterfoilError):
    code = "invalid_scope"
    detail = "A scope was asked for that this user cannot be given."

    def __init__(
        self, detail: str | None = None, *, available: frozenset[str] | None = None
    ) -> None:
        """`available` are the scopes that can be given, if they are known."""
        self.available = available
        super().__init__(detail)


class InvalidRefreshToken(CounterfoilError):
    code = "invalid_refresh_token"
    detail = "The refresh token is not valid."


class InvalidClient(CounterfoilError):
    code = "invalid_client"
    detail = "The client is unknown or disabled, or its secret is wrong."


class InvalidAuthorization(CounterfoilError):
    """Nothing may be sent to the address that the request names: it may be an attacker's."""

    code = "invalid_authorization"
    detail = "The application that sent you here is not registered in this way."


class UnauthorizedClient(CounterfoilError):
    code = "unauthorized_client"
    detail = "This client may not get tokens in this way."


class InvalidGrant(CounterfoilError):
    code = "invalid_grant"
    detail = "The code is not valid."


class AuthorizationPending(CounterfoilError):
    code = "authorization_pending"
    detail = "The user has not decided yet."


class SlowDown(CounterfoilError):
    code = "slow_down"
    detail = "Wait five seconds longer between two requests."


class AccessDenied(CounterfoilError):
    code = "access_denied"
    detail = "The user has denied it."


class DeviceCodeExpired(CounterfoilError):
    code = "expired_token"
    detail = "The device code has expired."


class InvalidTransaction(CounterfoilError):
    code = "invalid_transaction"
    detail = "This page is too old. Go back to the application and start again."


class InvalidUserCode(CounterfoilError):
    code = "invalid_user_code"
    detail = "No device shows this code, or it has expired."


class SessionLimitReached(CounterfoilError):
    code = "session_limit_reached"
    detail = "This user has as many sessions as allowed. End one of them first."


class ApiKeyRequired(CounterfoilError):
    code = "api_key_required"
    detail = "This needs an API key; the access token of a session will not do."


class HashingBusy(CounterfoilError):
    code = "busy"
    detail = "Too many logins are under way. Try again shortly."


class MailBusy(CounterfoilError):
    code = "mail_busy"
    detail = "Too many mails are being asked for. Try again shortly."


class TooManyAttempts(CounterfoilError):
    """The detail does not say which limit it was: that could tell whether an account exists."""

    code = "too_many_attempts"
    detail = "Too many attempts. Try again later."

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__()


class Conflict(CounterfoilError):
    """What is asked for contradicts what is there."""


class EmailTaken(Conflict):
    code = "email_taken"
    detail = "An account with this e-mail address exists already, or did until recently."


class AlreadyVerified(Conflict):
    code = "already_verified"
    detail = "This e-mail address is verified already."


class UsernameTaken(Conflict):
    code = "username_taken"
    detail = "An account with this username exists already, or did until recently."


class ReleasedNameLimitReached(Conflict):
    code = "released_name_limit_reached"
    detail = "You have changed your e-mail address or username too often. Try again later."


class RoleTaken(Conflict):
    code = "role_taken"
    detail = "A role with this name exists already."


class RoleRequired(Conflict):
    code = "role_required"
    detail = "New accounts get this role, so it cannot be deleted."


class RolesReadOnly(Conflict):
    code = "roles_read_only"
    detail = (
        "The service's role in PostgreSQL may not change the roles of users. Use a command as the "
        "owner of the tables, or `migrate --grant-to ROLE --manage-roles`."
    )


class PasswordSet(Conflict):
    code = "password_set"
    detail = "This account has a password, so its owner creates its API keys."


class ClientExists(Conflict):
    code = "client_exists"
    detail = "A client with this id is registered already."


class NotEmpty(Conflict):
    code = "not_empty"
    detail = "The database is not empty. Demo data needs an empty one."


class ApiKeyLimitReached(Conflict):
    code = "api_key_limit_reached"
    detail = "You have as many API keys as allowed. Revoke one of them first."


class TotpLimitReached(Conflict):
    code = "totp_limit_reached"
    detail = "You have as many authenticator apps as allowed. Remove one of them first."


class LastFactor(Conflict):
    code = "last_factor"
    detail = "One of your roles requires a second factor. Add another one first."


class PasskeyLimitReached(Conflict):
    code = "passkey_limit_reached"
    detail = "You have as many passkeys as allowed. Remove one of them first."


class CredentialKnown(Conflict):
    code = "credential_known"
    detail = "This passkey is registered already."


class ApiKeyReplaced(Conflict):
    code = "api_key_replaced"
    detail = "This API key has been rotated before. Rotate its successor."


class LastAdministrator(Conflict):
    code = "last_administrator"
    detail = "This is the last active administrator."


class NotFound(CounterfoilError):
    code = "not_found"
    detail = "There is no such thing."


class InvalidField(CounterfoilError):
    """`field` names what was rejected; the detail never repeats its value."""

    code = "validation_failed"

    def __init__(self, field: str, detail: str) -> None:
        self.field = field
        super().__init__(detail)


class WeakPassword(InvalidField):
    def __init__(self, detail: str, *, field: str = "password") -> None:
        super().__init__(field, detail)
