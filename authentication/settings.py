"""How long tokens live, what a password must be, and the other rules that may be set."""

from datetime import date
from enum import StrEnum
from os import cpu_count
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from authentication import origins
from authentication.factors import sealing
from database.limits import MAX_API_KEY_DAYS
from database.settings import LayerSettings

MAX_BCRYPT_ROUNDS = 18
DAY = 86_400


class SessionLimitPolicy(StrEnum):
    """What happens to a login when the user already has as many sessions as allowed."""

    REFUSE = "refuse"
    EVICT_OLDEST = "evict-oldest"
    EVICT_IDLE = "evict-idle"


class Registration(StrEnum):
    """How accounts begin."""

    OFF = "off"
    OPEN = "open"
    CONFIRM = "confirm"


class ForeignHash(StrEnum):
    """Kinds of password hashes that other systems make."""

    ARGON2 = "argon2"
    PBKDF2 = "pbkdf2_sha256"
    SCRYPT = "scrypt"
    DJANGO_BCRYPT = "django_bcrypt"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _read_registration(value: object) -> object:
    """It was a switch before there was mail, and is still read as one."""
    if isinstance(value, Registration):
        return value
    text = str(value).lower()
    if text in {"on", "true", "yes", "1"}:
        return Registration.OPEN
    return Registration.OFF if text in {"off", "false", "no", "0"} else text


class AuthenticationSettings(LayerSettings):
    """Durations are in seconds."""

    access_token_seconds: Annotated[int, Field(ge=1, le=365 * DAY)] = 3600
    """The lifetime of an access token."""

    refresh_token_seconds: Annotated[int, Field(ge=1, le=365 * DAY)] = 14 * DAY
    """The lifetime of a refresh token: a client that is idle for longer must log in again."""

    session_seconds: Annotated[int, Field(ge=1, le=3650 * DAY)] = 30 * DAY
    """The maximum lifetime of a session, however often it is refreshed."""

    foreign_tokens_until: date | None = None
    """The last day, in UTC, on which tokens of other systems are accepted that were imported.

    Such as 2027-03-31. Until then `Authorization: Token` is accepted like `Bearer`.
    """

    rolling_tokens: bool = False
    """Whether an access token that is used in the second half of its lifetime is extended."""

    refresh_grace_seconds: Annotated[int, Field(ge=0, le=300)] = 10
    """How long a used refresh token is still accepted.

    For clients that lose responses, or refresh several times at once. Once a token that it was
    exchanged for has been used, the others end, and so does the grace.
    """

    max_sessions_per_user: Annotated[int | None, Field(ge=1)] = 100
    """How many live sessions a user may have; `none` sets no limit."""

    session_limit_policy: SessionLimitPolicy = SessionLimitPolicy.EVICT_IDLE
    """At the limit: reject the login, or revoke the oldest or the longest unused session."""

    api_key_seconds: Annotated[int | None, Field(ge=1, le=MAX_API_KEY_DAYS * DAY)] = 365 * DAY
    """The lifetime of an API key unless its owner chooses one; with `none` it never expires.

    `max_api_key_days` limits it.
    """

    max_api_key_days: Annotated[int, Field(ge=0, le=MAX_API_KEY_DAYS)] = 365
    """The longest lifetime of a new API key; 0 sets no limit. Existing keys are not affected."""

    api_key_overlap_seconds: Annotated[int, Field(ge=0, le=365 * DAY)] = DAY
    """How long a rotated API key works next to its successor, unless the request asks for less."""

    max_api_keys_per_user: Annotated[int | None, Field(ge=1)] = 100
    """How many live API keys a user may create; `none` sets no limit. Rotated keys do not count."""

    api_key_notice_days: Annotated[int, Field(ge=0, le=365)] = 7
    """How many days before an API key expires its owner is told, by mail; with 0 nobody is."""

    console_idle_seconds: Annotated[int, Field(ge=60, le=30 * DAY)] = 3600
    """How long a session of the console may be idle before it expires."""

    console_session_seconds: Annotated[int, Field(ge=60, le=365 * DAY)] = 12 * 3600
    """The maximum lifetime of a session of the console, however much it is used."""

    fresh_seconds: Annotated[int, Field(ge=1, le=DAY)] = 300
    """How long after the password a session may do what outlives it, such as create API keys."""

    factor_change_ends_sessions: bool = True
    """Whether a new second factor, or one that is removed, revokes the user's other sessions."""

    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = ()
    """Keys that encrypt the secrets of authenticator apps: the first encrypts, all decrypt.

    Separated by commas; `python api.py secret-key` makes one. Without any there are no such apps.
    """

    passkey_rp_id: Annotated[str, AfterValidator(origins.read_domain)] | None = None
    """The domain that passkeys are made for, if it is not the host of the issuer.

    With `example.org`, pages of all its subdomains can use the same passkeys, if their origins are
    listed below. If it is changed, all passkeys are lost.
    """

    passkey_origins: Annotated[
        tuple[Annotated[str, AfterValidator(origins.read_of_passkeys)], ...],
        NoDecode,
        BeforeValidator(_split),
    ] = ()
    """Origins whose pages may use passkeys, in addition to that of the issuer.

    Separated by commas. An Android app is `android:apk-key-hash:` and the digest of its signing
    certificate in base64url.
    """

    max_passkeys_per_user: Annotated[int, Field(ge=1, le=100)] = 20
    """How many passkeys a user may have."""

    passkey_options_per_address: Annotated[int, Field(ge=1)] = 300
    """Logins with a passkey that one IP address (IPv6: one /64) may begin in the period below."""

    passkey_options_window_seconds: Annotated[int, Field(ge=1, le=DAY)] = 900
    """The period in which they are counted."""

    bcrypt_rounds: Annotated[int, Field(ge=4, le=MAX_BCRYPT_ROUNDS)] = 12
    """The cost of a password hash; each step doubles it. Less than 12 is only for tests."""

    foreign_password_hashes: Annotated[
        tuple[ForeignHash, ...], NoDecode, BeforeValidator(_split)
    ] = ()
    """Kinds of hashes of imported users that are checked, and replaced at the next login.

    `argon2`, `pbkdf2_sha256`, `scrypt` and `django_bcrypt`, separated by commas. With any of them,
    every check of a password takes as long as the costliest of these usually does.
    """

    password_min_length: Annotated[int, Field(ge=1, le=128)] = 8
    """In code points. 15 is recommended where a password is the only factor."""

    registration: Annotated[Registration, BeforeValidator(_read_registration)] = Registration.OPEN
    """Whether `POST /register` creates accounts at once, or once the address is confirmed.

    With `off`, only commands do. `confirm` needs `mail_url`.
    """

    released_name_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """How long nobody else can take an e-mail address or username that an account has given up.

    Also after the account was deleted. With 0 anybody can take it at once.
    """

    password_grant: bool = True
    """Whether `POST /token` accepts passwords. `POST /login` always does."""

    login_throttle: bool = True
    """Whether attempts are limited: logins, and everything else that has a limit below."""

    login_window_seconds: Annotated[int, Field(ge=1, le=DAY)] = 900
    """The period in which failed logins are counted."""

    login_attempts_per_account: Annotated[int, Field(ge=1, le=100)] = 20
    """Failed logins to one account in that period.

    Counted for each known network by itself, and for all untrusted clients together.
    """

    login_attempts_per_address: Annotated[int, Field(ge=1)] = 100
    """Failed logins from one IP address (IPv6: one /64) in that period. An office may share one."""

    login_failures_per_account: Annotated[int, Field(ge=1, le=100)] = 100
    """Failed logins in a row to one account, however slowly (NIST SP 800-63B-4, 3.2.2).

    Counted like `login_attempts_per_account`; reset by a login or by a new password.
    """

    factor_attempts_per_account: Annotated[int, Field(ge=1, le=100)] = 10
    """Wrong codes of a second factor in that period, counted like `login_attempts_per_account`."""

    factor_failures_per_account: Annotated[int, Field(ge=1, le=100)] = 100
    """Wrong codes of a second factor in a row, counted like `login_failures_per_account`."""

    registrations_per_address: Annotated[int, Field(ge=1)] = 100
    """Registrations that one IP address (IPv6: one /64) may attempt in the period below."""

    registration_window_seconds: Annotated[int, Field(ge=1, le=DAY)] = 3600
    """The period in which registrations are counted."""

    introspection_misses_per_minute: Annotated[int, Field(ge=1)] = 600
    """Unknown tokens that one caller may send to a worker; known ones are always answered."""

    revocation_misses_per_minute: Annotated[int, Field(ge=1)] = 120
    """Unknown or dead tokens that one network may send to a worker's `/revoke`.

    Others are always revoked. Past five times as many, no token from there is looked up until the
    minute is over.
    """

    refresh_misses_per_minute: Annotated[int, Field(ge=1)] = 120
    """Unknown refresh tokens that one network may send to a worker, with the same limit to that."""

    client_failures_per_minute: Annotated[int, Field(ge=1)] = 120
    """Wrong client secrets, and unknown codes, that one network may send to a worker."""

    device_requests_per_minute: Annotated[int, Field(ge=1)] = 30
    """Device codes that one network may ask a worker for."""

    user_codes_per_account: Annotated[int, Field(ge=1)] = 20
    """Codes of devices that one account may enter at a worker in ten minutes, right or wrong."""

    writes_per_minute: Annotated[int, Field(ge=1)] = 300
    """Changes that one account, and each of its sessions and API keys, may make at a worker.

    What revokes something, administration, confirming the password and refreshing are limited for
    each session and API key alone. As many logins with the right password are accepted.
    """

    hashing_threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=lambda: min(cpu_count() or 1, 64)
    )
    """Passwords that a worker hashes at once, at low priority; one less while tokens are checked.

    Default: the number of processors.
    """

    hashing_queue: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Passwords that may wait for hashing; beyond that the answer is 503.

    Fewer may wait if not all of them could be hashed within the deadline.
    """

    hashing_reserve: Annotated[int, Field(ge=0, le=10_000)] = 8
    """Additional slots in that queue, reserved for users in known networks and logged-in users."""

    hashing_deadline_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    """How long waiting and hashing may take together; after that the answer is 503."""

    track_last_used: bool = True
    """Whether the last use of sessions and API keys is recorded."""

    last_used_seconds: Annotated[int, Field(ge=1, le=DAY)] = 60
    """The shortest time between two such records of one session or API key."""

    prune_interval_seconds: Annotated[int, Field(ge=0, le=7 * DAY)] = 3600
    """How often a worker prunes rows that can no longer be used. With 0 only `prune` does."""

    prune_keep_days: Annotated[int, Field(ge=0, le=3650)] = 7
    """How many days sessions, tokens and API keys are kept after they expired or were revoked."""

    audit_refused_tokens: bool = True
    """Whether the audit log records why access tokens and API keys are rejected."""

    audit_keep_days: Annotated[int | None, Field(ge=1, le=36_500)] = None
    """How many days audit events are kept; `none` is for ever."""

    @field_validator("secret_keys")
    @classmethod
    def _reject_malformed_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in value:
            sealing.read_key(key.get_secret_value())
        return value
