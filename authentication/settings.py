"""How long tokens live, what a password must be, and the other rules that may be set."""

from enum import StrEnum
from os import cpu_count
from typing import Annotated

from pydantic import Field

from database.settings import LayerSettings

DAY = 86_400


class SessionLimitPolicy(StrEnum):
    """What happens to a login when the user already has as many sessions as allowed."""

    REFUSE = "refuse"
    EVICT_OLDEST = "evict-oldest"
    EVICT_IDLE = "evict-idle"


class AuthenticationSettings(LayerSettings):
    """Durations are in seconds."""

    access_token_seconds: Annotated[int, Field(ge=1, le=365 * DAY)] = 3600
    """How long an access token lives."""

    refresh_token_seconds: Annotated[int, Field(ge=1, le=365 * DAY)] = 14 * DAY
    """How long a refresh token lives: a client idle for longer must log in again."""

    session_seconds: Annotated[int, Field(ge=1, le=3650 * DAY)] = 30 * DAY
    """The absolute end of a session, however often it is refreshed."""

    rolling_tokens: bool = False
    """Whether an access token used in the second half of its life is extended."""

    refresh_grace_seconds: Annotated[int, Field(ge=0, le=300)] = 0
    """How long a used refresh token may come back, for clients that lose answers or race."""

    max_sessions_per_user: Annotated[int | None, Field(ge=1)] = None
    """How many live sessions a user may have; `none` sets no limit."""

    session_limit_policy: SessionLimitPolicy = SessionLimitPolicy.EVICT_OLDEST
    """What gives way when the limit is reached: the login, the oldest or the longest unused."""

    api_key_seconds: Annotated[int | None, Field(ge=1, le=3650 * DAY)] = 365 * DAY
    """How long an API key lives if its owner does not say; `none` is without an end."""

    api_key_overlap_seconds: Annotated[int, Field(ge=0, le=365 * DAY)] = DAY
    """How long a rotated API key goes on working beside its successor, unless asked for less."""

    max_api_keys_per_user: Annotated[int | None, Field(ge=1)] = 100
    """How many live API keys a user may make; `none` sets no limit. Replaced ones do not count."""

    console_idle_seconds: Annotated[int, Field(ge=60, le=30 * DAY)] = 3600
    """How long a session of the console lives without being used."""

    console_session_seconds: Annotated[int, Field(ge=60, le=365 * DAY)] = 12 * 3600
    """The absolute end of a session of the console, however much it is used."""

    confirmation_seconds: Annotated[int, Field(ge=1, le=DAY)] = 300
    """How long the console takes a password as fresh enough for what is dangerous."""

    bcrypt_rounds: Annotated[int, Field(ge=4, le=18)] = 12
    """The cost of a password hash; each step doubles it. Less than 12 is for tests."""

    password_min_length: Annotated[int, Field(ge=1, le=128)] = 8
    """In code points. 15 is recommended where a password is the only factor."""

    password_grant: bool = True
    """Whether `POST /token` takes passwords. `POST /login` does in any case."""

    login_throttle: bool = True
    """Whether attempts are limited (on | off): logins and all that has a limit below."""

    login_window_seconds: Annotated[int, Field(ge=1, le=DAY)] = 900
    """The time in which attempts to log in are counted. A success does not count."""

    login_attempts_per_account: Annotated[int, Field(ge=1, le=100)] = 20
    """Failures in that time on one account, by strangers and from each known address apart."""

    login_attempts_per_address: Annotated[int, Field(ge=1)] = 100
    """Failures in that time from one address, which may be a whole office. IPv6 counts by /64."""

    login_failures_per_account: Annotated[int, Field(ge=1, le=100)] = 100
    """Failures in a row on one account, however slowly (NIST SP 800-63B-4, 3.2.2).

    Counted like `login_attempts_per_account`, and ended by a login or by a new password.
    """

    registrations_per_address: Annotated[int, Field(ge=1)] = 100
    """Accounts that one address may try to create in the time below."""

    registration_window_seconds: Annotated[int, Field(ge=1, le=DAY)] = 3600
    """The time in which registrations are counted."""

    introspection_misses_per_minute: Annotated[int, Field(ge=1)] = 600
    """Unknown tokens that a caller may ask a worker about; known ones are always answered."""

    revocation_misses_per_minute: Annotated[int, Field(ge=1)] = 120
    """Unknown tokens that an address may revoke at a worker; known ones always are."""

    hashing_threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=lambda: min(cpu_count() or 1, 64)
    )
    """Passwords that a worker hashes at a time, at low priority; one less while tokens are checked.

    Default: one a processor.
    """

    hashing_queue: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Passwords that may wait for hashing; past that the answer is 503.

    Fewer, if so many could not be hashed within the deadline.
    """

    hashing_reserve: Annotated[int, Field(ge=0, le=10_000)] = 8
    """Places beside these for users at addresses that they have logged in from before."""

    hashing_deadline_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    """How long a password may wait and be hashed, together; past that the answer is 503."""

    track_last_used: bool = True
    """Whether sessions and API keys note when they were last used."""

    last_used_seconds: Annotated[int, Field(ge=1, le=DAY)] = 60
    """How often that is noted for one session at most."""

    prune_interval_seconds: Annotated[int, Field(ge=0, le=7 * DAY)] = 3600
    """How often a worker removes rows that can no longer be used. 0 leaves it to `prune`."""

    prune_keep_days: Annotated[int, Field(ge=0, le=3650)] = 7
    """How many days ended sessions, expired tokens and used refresh tokens stay to be looked at."""

    audit_refused_tokens: bool = True
    """Whether the audit log says why access tokens and API keys are refused, now and then."""

    audit_keep_days: Annotated[int | None, Field(ge=1, le=36_500)] = None
    """How many days audit events stay; `none` is for ever, as evidence goes by decision only."""
