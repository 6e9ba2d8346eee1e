"""The tables, one module each. Importing this package registers all of them in the metadata."""

from database.models.access_token import AccessToken
from database.models.api_key import ApiKey
from database.models.audit_event import AuditEvent
from database.models.known_address import KnownAddress
from database.models.mail_token import MailToken
from database.models.outgoing_mail import OutgoingMail
from database.models.pruning_scan import PruningScan
from database.models.refresh_token import RefreshToken
from database.models.released_name import ReleasedName
from database.models.role import Role, user_roles
from database.models.session import LoginSession
from database.models.throttle_counter import ThrottleCounter
from database.models.user import User

__all__ = [
    "AccessToken",
    "ApiKey",
    "AuditEvent",
    "KnownAddress",
    "LoginSession",
    "MailToken",
    "OutgoingMail",
    "PruningScan",
    "RefreshToken",
    "ReleasedName",
    "Role",
    "ThrottleCounter",
    "User",
    "user_roles",
]
