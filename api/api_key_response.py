"""What bodies ask for, and what responses show, of a new API key."""

from authentication import policies
from authentication.credentials.api_keys import KeyRequest, NewKey
from authentication.settings import AuthenticationSettings
from schemas.api_keys import ApiKeyCreate, ApiKeyCreated, ApiKeyRead


def read(body: ApiKeyCreate, settings: AuthenticationSettings) -> KeyRequest:
    """What a body asks for, with the defaults of the settings."""
    lifetime = None
    if not body.never_expires:
        lifetime = policies.api_key_lifetime(settings, days=body.expires_in_days)
    scopes = None if body.scopes is None else frozenset(body.scopes)
    return KeyRequest(body.name, lifetime, scopes, body.requests_per_minute)


def show(new: NewKey) -> ApiKeyCreated:
    """The only response with the key."""
    stored = ApiKeyRead.model_validate(new.stored)
    return ApiKeyCreated(key=new.text, **stored.model_dump())
