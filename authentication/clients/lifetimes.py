"""The lifetimes of tokens that a client gets: those of its registration, or of the settings."""

from authentication.settings import AuthenticationSettings
from database.models import OAuthClient

_NAMES = ("access_token_seconds", "refresh_token_seconds", "session_seconds")


def of_client(
    settings: AuthenticationSettings, client: OAuthClient | None
) -> AuthenticationSettings:
    """The settings with the lifetimes that are registered for a client, if any are."""
    own = {name: seconds for name in _NAMES if client and (seconds := getattr(client, name))}
    return settings.model_copy(update=own) if own else settings
