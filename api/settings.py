"""How the service is reached over HTTP; and all settings of all layers together."""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode

from api.request.hosts import is_loopback
from authentication import origins
from authentication.mail.settings import MailSettings
from authentication.settings import AuthenticationSettings, Registration
from database.settings import (
    PREFIX,
    DatabaseSettings,
    InvalidSettings,
    LayerSettings,
    one_clear_line,
    reject_unknown,
)

Network = IPv4Network | IPv6Network

_DEFAULT_PORT = 8000


class Exposure(StrEnum):
    """Who may ask for something that is not for everyone."""

    OFF = "off"
    LOCAL = "local"
    ON = "on"


class LogFormat(StrEnum):
    """What a line of the log looks like."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """The severity of a line of the log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def _read_issuer(value: str) -> str:
    url = AnyHttpUrl(value)
    if url.query or url.fragment:
        raise ValueError("must have neither a query nor a fragment (RFC 8414, 2)")
    return value.rstrip("/")


def _local_url(settings: dict[str, Any]) -> str:
    host, port = settings.get("host", ""), settings.get("port", 0)
    # An address that stands for all addresses of this machine is none that a client can call.
    if not host or host in {"0.0.0.0", "::"}:  # noqa: S104 - nothing is bound here
        host = "127.0.0.1"
    return url_of(host, port or _DEFAULT_PORT)


def url_of(host: str, port: int) -> str:
    """The URL of an address to listen on. An IPv6 address stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


_is_colour = re.compile("#[0-9a-fA-F]{6}").fullmatch
_MAX_LOGO_BYTES = 262_144


class ApiSettings(LayerSettings):
    """Lists are divided by commas."""

    host: str = "127.0.0.1"
    """The address that `python api.py serve` listens on."""

    port: Annotated[int, Field(ge=0, le=65535)] = _DEFAULT_PORT
    """The port that `python api.py serve` listens on."""

    workers: Annotated[int, Field(ge=1, le=128)] = 1
    """The number of worker processes."""

    issuer: Annotated[str, AfterValidator(_read_issuer)] = Field(default_factory=_local_url)
    """The public URL of the service. It is never taken from a request.

    Default: this machine, at the port that `python api.py serve` listens on.
    """

    metrics: Exposure = Exposure.LOCAL
    """Who may read /metrics: `local` means this machine, `on` everyone, `off` nobody.

    `local` excludes requests that a proxy on this machine seems to have forwarded: those with a
    header that proxies add or with `Connection: close`, in HTTP/1.0, or for another host.
    """

    metrics_token: SecretStr | None = None
    """If set, /metrics requires it as a bearer token instead, from every client.

    Set it behind a proxy on the same machine, which may look like a local client.
    """

    access_log: bool = True
    """Whether `python api.py serve` logs a line for each request."""

    log_format: LogFormat = LogFormat.AUTO
    """The format of the log of `python api.py serve`. `auto` is text on a terminal, else JSON."""

    log_level: Annotated[LogLevel, BeforeValidator(str.lower)] = LogLevel.INFO
    """The least severe level that `python api.py serve` logs."""

    docs: bool = True
    """Whether the interactive documentation is served at /docs."""

    console: bool = True
    """Whether the web pages for administrators are served at /console. They need `pages`."""

    pages: bool = True
    """Whether the web pages for people are served: `/sign-in`, `/account`, consent and devices."""

    application_name: Annotated[str, Field(max_length=60)] = ""
    """What pages and authenticator apps call your application. Default: what mails call it; else
    pages call it Counterfoil, and apps the host of the issuer."""

    application_logo: Path | None = None
    """An image for pages: a file .svg, .png or .webp of at most 256 kB, square at its best."""

    application_colour: str = ""
    """The colour of buttons and links on pages, like #2a6354. Its lightness follows the page's."""

    api_key_headers: Annotated[tuple[str, ...], NoDecode] = ("X-API-Key", "Token")
    """Headers that may carry an API key, in addition to Authorization. Separated by commas."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call the API from a browser (CORS), such as https://app.example.org.

    Separated by commas, without a path; `*` and `null` are rejected. None of them may send cookies,
    or read /console, /metrics and /verify.
    """

    browser_sessions: bool = False
    """Whether `/browser-session` keeps a session in a cookie, which no script can read.

    For a single-page application of the same origin. The issuer must have https, or be local.
    """

    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """IP addresses or networks of proxies whose X-Forwarded-For is trusted, separated by commas.

    If there are any, a peer on a Unix socket is trusted as well.
    """

    max_body_bytes: Annotated[int, Field(ge=1024)] = 65_536
    """Larger request bodies are rejected with 413 before anything else is done."""

    request_body_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long the body of a request may take to arrive; after that the answer is 408."""

    max_head_bytes: Annotated[int, Field(ge=4096)] = 32_768
    """Larger request heads (line and headers) are rejected with 431, by `python api.py serve`."""

    request_head_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long a request head may take to arrive, and how long a new connection may be silent."""

    max_connections: Annotated[int, Field(ge=2)] = 1000
    """The maximum number of connections to a worker; beyond that the answer is 503."""

    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 5.0
    """How long `python api.py serve` still serves after SIGTERM, while /health/ready answers 503.

    It should be longer than a load balancer needs to notice; use 0 if none checks readiness.
    """

    shutdown_seconds: Annotated[int, Field(ge=1, le=600)] = 20
    """How long requests in flight may take to finish after that."""

    @field_validator("api_key_headers", "cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _reject_invalid_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origins.read(origin) for origin in value)

    @field_validator("trusted_proxies")
    @classmethod
    def _reject_invalid_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            ip_network(proxy, strict=False)
        return value

    @field_validator("application_name")
    @classmethod
    def _reject_control_characters(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must not contain control characters")
        return value.strip()

    @field_validator("application_logo")
    @classmethod
    def _reject_other_files(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if value.suffix.lower() not in {".svg", ".png", ".webp"}:
            raise ValueError("must be a file .svg, .png or .webp")
        if not value.is_file() or value.stat().st_size > _MAX_LOGO_BYTES:
            raise ValueError("must be a file of at most 256 kB")
        return value

    @field_validator("application_colour")
    @classmethod
    def _reject_other_colours(cls, value: str) -> str:
        if value and not _is_colour(value):
            raise ValueError("must be like #2a6354")
        return value.lower()

    @model_validator(mode="after")
    def _reject_console_without_pages(self) -> Self:
        if self.console and not self.pages:
            raise ValueError("CONSOLE needs PAGES, by which its users sign in: set both to false")
        return self

    @model_validator(mode="after")
    def _reject_insecure_cookies(self) -> Self:
        issuer = urlsplit(self.issuer)
        is_secure = issuer.scheme == "https" or is_loopback(issuer.hostname or "")
        if self.browser_sessions and not is_secure:
            raise ValueError(
                "BROWSER_SESSIONS needs an ISSUER with https: cookies are sent over it"
            )
        return self

    @property
    def origin(self) -> str:
        """The origin of the issuer."""
        issuer = urlsplit(self.issuer)
        return f"{issuer.scheme}://{issuer.netloc}"

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The trusted proxies as networks."""
        return tuple(ip_network(proxy, strict=False) for proxy in self.trusted_proxies)


class SharedMetrics(BaseSettings):
    """What prometheus-client itself looks for. `serve` sets it for its workers."""

    prometheus_multiproc_dir: Path | None = None
    """The directory in which several workers gather their numbers."""


class SocketActivation(BaseSettings):
    """What systemd sets for a service that has a socket unit (sd_listen_fds(3))."""

    listen_pid: int | None = None
    """The process that the sockets are meant for."""

    listen_fds: int = 0
    """How many there are, as file descriptors from 3 on."""


class Settings(NamedTuple):
    """One class a layer."""

    database: DatabaseSettings
    authentication: AuthenticationSettings
    api: ApiSettings
    mail: MailSettings


def load() -> Settings:
    """Read the environment and `.env`. Raises InvalidSettings, also for a name that is unknown."""
    with one_clear_line():
        reject_unknown(DatabaseSettings, AuthenticationSettings, ApiSettings, MailSettings)
        settings = Settings(
            DatabaseSettings(), AuthenticationSettings(), ApiSettings(), MailSettings()
        )
    if settings.authentication.registration is Registration.CONFIRM and not settings.mail.is_on:
        raise InvalidSettings(f"{PREFIX}REGISTRATION: confirm needs mail: set MAIL_URL as well")
    return settings
