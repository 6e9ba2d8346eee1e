"""The tables, one module each. Importing this package registers all of them in the metadata."""

from database.models.access_token import AccessToken
from database.models.api_key import ApiKey
from database.models.api_key_use import ApiKeyUse
from database.models.audit_event import AuditEvent
from database.models.authorization import AuthorizationCode, AuthorizationRequest
from database.models.challenge import Challenge
from database.models.consent import Consent
from database.models.device_code import DeviceCode
from database.models.known_address import KnownAddress
from database.models.mail_token import MailToken
from database.models.oauth_client import OAuthClient
from database.models.outgoing_mail import OutgoingMail
from database.models.passkey import Passkey
from database.models.pruning_scan import PruningScan
from database.models.recovery_code import RecoveryCode
from database.models.refresh_token import RefreshToken
from database.models.reign import Reign
from database.models.released_name import ReleasedName
from database.models.role import Role, user_roles
from database.models.session import LoginSession
from database.models.throttle_counter import ThrottleCounter
from database.models.totp_factor import TotpFactor
from database.models.user import User

__all__ = [
    "AccessToken",
    "ApiKey",
    "ApiKeyUse",
    "AuditEvent",
    "AuthorizationCode",
    "AuthorizationRequest",
    "Challenge",
    "Consent",
    "DeviceCode",
    "KnownAddress",
    "LoginSession",
    "MailToken",
    "OAuthClient",
    "OutgoingMail",
    "Passkey",
    "PruningScan",
    "RecoveryCode",
    "RefreshToken",
    "Reign",
    "ReleasedName",
    "Role",
    "ThrottleCounter",
    "TotpFactor",
    "User",
    "user_roles",
]
