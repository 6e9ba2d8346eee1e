"""Settings that are allowed, and weaken the service: logged at the start, and shown by `check`."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from api.request.hosts import is_loopback
from api.settings import ApiSettings, Exposure, Settings
from authentication.mail.kinds import LinkKind
from authentication.mail.servers import FileTarget, Security
from authentication.mail.settings import MailSettings
from authentication.settings import AuthenticationSettings

_RECOMMENDED_ROUNDS = 12
_SHORT_PASSWORD = 8
# Prefixes that are shorter hold more addresses than any set of proxies.
_WIDEST_PREFIX = {4: 8, 6: 16}


def find(settings: Settings) -> Iterator[str]:
    """A line about each."""
    yield from _of_accounts(settings.authentication)
    yield from _of_lifetimes(settings.authentication)
    yield from _of_http(settings.api)
    yield from _of_mail(settings.mail)


def _of_accounts(settings: AuthenticationSettings) -> Iterator[str]:
    if settings.bcrypt_rounds < _RECOMMENDED_ROUNDS:
        yield f"BCRYPT_ROUNDS below {_RECOMMENDED_ROUNDS} is for tests"
    if not settings.login_throttle:
        yield "LOGIN_THROTTLE is off: passwords can be guessed without limit"
    if settings.password_min_length < _SHORT_PASSWORD:
        yield f"PASSWORD_MIN_LENGTH below {_SHORT_PASSWORD} allows passwords that can be guessed"
    if not settings.max_api_key_days:
        yield "MAX_API_KEY_DAYS is 0: API keys may never expire"


def _of_lifetimes(settings: AuthenticationSettings) -> Iterator[str]:
    access, refresh = settings.access_token_seconds, settings.refresh_token_seconds
    session = settings.session_seconds
    if access >= refresh:
        yield "ACCESS_TOKEN_SECONDS is not below REFRESH_TOKEN_SECONDS: refreshing is pointless"
    if max(access, refresh) > session:
        yield "SESSION_SECONDS is below the lifetime of a token: tokens end with the session"
    if settings.refresh_grace_seconds >= access:
        yield "REFRESH_GRACE_SECONDS is not below ACCESS_TOKEN_SECONDS: reuse is noticed late"
    if settings.console_idle_seconds > settings.console_session_seconds:
        yield "CONSOLE_SESSION_SECONDS is below CONSOLE_IDLE_SECONDS, which has no effect"
    if settings.last_used_seconds > settings.refresh_token_seconds:
        yield "LAST_USED_SECONDS is above REFRESH_TOKEN_SECONDS: sessions seem unused"


def _of_http(settings: ApiSettings) -> Iterator[str]:
    for network in settings.proxy_networks:
        if network.prefixlen < _WIDEST_PREFIX[network.version]:
            yield f"TRUSTED_PROXIES has {network}: clients there can choose their address"
    issuer = urlsplit(settings.issuer)
    is_public = not is_loopback(issuer.hostname or "")
    if is_public and issuer.scheme == "http":
        yield "ISSUER is not https: tokens would cross the network in the clear"
    if not is_public and settings.trusted_proxies:
        yield f"ISSUER is {settings.issuer} behind TRUSTED_PROXIES: clients are told this address"
    for origin in map(urlsplit, settings.cors_origins):
        if origin.scheme == "http" and not is_loopback(origin.hostname or ""):
            yield f"CORS_ORIGINS has {origin.geturl()}: who is on its network can change its pages"
    if settings.metrics_token is None and _can_be_reached(settings.metrics, is_public=is_public):
        yield f"METRICS is {settings.metrics}, without METRICS_TOKEN: others may read /metrics"


def _of_mail(settings: MailSettings) -> Iterator[str]:
    if not settings.is_on:
        return
    server = settings.server
    if isinstance(server, FileTarget):
        yield f"MAIL_URL is a directory: mails are written to {server.directory}, and not sent"
    elif server.security is Security.NONE and not is_loopback(server.host):
        yield "MAIL_URL is smtp+plain: links to set passwords cross the network in the clear"
    for kind in LinkKind:
        link = urlsplit(settings.link(kind))
        if link.scheme == "http" and not is_loopback(link.hostname or ""):
            yield f"LINK_{kind.upper()} is not https: its tokens cross the network in the clear"


def _can_be_reached(metrics: Exposure, *, is_public: bool) -> bool:
    """A proxy on this machine that adds no header looks like a local client."""
    return metrics is Exposure.ON or (metrics is Exposure.LOCAL and is_public)
