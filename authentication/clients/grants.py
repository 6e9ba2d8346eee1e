"""The ways in which a client can be registered to get tokens."""

from enum import StrEnum

from database.models import OAuthClient


class Grant(StrEnum):
    """The values of `grant_type` (RFC 6749, 1.3; RFC 8628, 3.4)."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"
    DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
    CLIENT_CREDENTIALS = "client_credentials"
    PASSWORD = "password"


def has_grant(client: OAuthClient, grant: Grant) -> bool:
    """Whether a client may get tokens in this way."""
    return grant in client.grants.split(" ")
