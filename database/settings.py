"""Where the database is, and how long anyone may wait for it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from functools import cached_property
from typing import Annotated, Self

from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from counterfoil.lookup.server import reject_standbys, reject_unless_standby
from database.setting_files import SUFFIX, FileSettingsSource

PREFIX = "COUNTERFOIL_"

_DATABASE_URL = "database_url"
# What other programs call the address of a database.
_OTHER_DATABASE_URL = re.compile(
    r"(sqlalchemy_)?(db|database|pg|postgres|postgresql|sqlite)_?(url|uri|dsn)s?"
)
# At least this similar, a name is taken for a misspelling. One wrong letter of ten is.
_SIMILAR = 0.85

# After this exit status uvicorn and gunicorn do not start another worker.
WRONG_SETTINGS_STATUS = 3


class InvalidSettings(Exception):
    """The message is one line for the person who starts the service."""


class LayerSettings(BaseSettings):
    """Settings of one layer, read from the environment and from a file `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_parse_none_str="none",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Called by pydantic. What comes first wins."""
        files = FileSettingsSource(settings_cls, _given(), PREFIX)
        return init_settings, files, env_settings, dotenv_settings


def _given() -> dict[str, str | None]:
    """The variables of `.env` and of the environment, which wins."""
    sources = (DotEnvSettingsSource(LayerSettings), EnvSettingsSource(LayerSettings))
    return {name: value for source in sources for name, value in source.env_vars.items()}


class DatabaseSettings(LayerSettings):
    """`DATABASE_URL` is accepted without the prefix too, as hosting platforms set it."""

    database_url: Annotated[
        str, Field(validation_alias=AliasChoices("COUNTERFOIL_DATABASE_URL", "DATABASE_URL"))
    ] = "sqlite:///counterfoil.db"
    """`sqlite:///file.db` or `postgresql://user:password@host/name`. `COUNTERFOIL_DATABASE_URL`
    counts before it, for where `DATABASE_URL` is the database of something else.
    """

    database_deadline_seconds: Annotated[float, Field(gt=0, le=60)] = 3.0
    """How long a request may wait for the database; after that the answer is 503."""

    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    """Connections that a worker uses for everything except token lookups."""

    lookup_connections: Annotated[int, Field(ge=1, le=8)] = 2
    """Token lookups that a worker has in flight at once, each on its own connection."""

    prepared_statements: bool = True
    """Switch this off behind PgBouncer in transaction mode, which does not preserve statements."""

    lookup_database_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Standbys that answer token lookups in place of the primary, as fresh as it, separated by
    commas. See docs/how-to/scale.md.
    """

    lookup_replica_connections: Annotated[int, Field(ge=1, le=8)] = 2
    """Token lookups that a worker has in flight at once on each standby."""

    lookup_replica_patience_milliseconds: Annotated[int, Field(ge=0, le=1000)] = 20
    """How long a standby may take to replay what a lookup needs, before the primary is asked. It is
    also asked if the standby has not answered after twice as long, or after 40 milliseconds if
    that is longer.
    """

    fencing_seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """How long a primary is believed after it has shown that no other server replaced it, and how
    long a new one waits before it takes writes. 0 is off. See docs/how-to/scale.md.
    """

    migrate_on_start: bool = False
    """Whether PostgreSQL is migrated when the service starts. SQLite always is."""

    start_without_database: bool = False
    """Whether to start although the database cannot be reached, and answer 503 until it can."""

    @field_validator("lookup_database_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(re.findall(r"[^\s,]+", value)) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _reject_other_databases(self) -> Self:
        try:
            backend = self.url.get_backend_name()
        except (ArgumentError, ValueError):
            # What it says may quote a password, as of an address with a slip in it.
            raise ValueError("DATABASE_URL cannot be read as a URL") from None
        if backend not in {"sqlite", "postgresql"}:
            raise ValueError("DATABASE_URL must begin with sqlite:// or postgresql://")
        if backend == "sqlite" and self.url.database in {None, "", ":memory:"}:
            raise ValueError("DATABASE_URL must name a file, as connections share no memory")
        reject_standbys(self.url.query)
        return self

    @model_validator(mode="after")
    def _reject_other_standbys(self) -> Self:
        if self.lookup_database_urls and self.url.get_backend_name() == "sqlite":
            raise ValueError("LOOKUP_DATABASE_URLS: SQLite has no standbys")
        if self.fencing_seconds and self.url.get_backend_name() == "sqlite":
            raise ValueError("FENCING_SECONDS: SQLite has no standbys")
        for address in self.lookup_database_urls:
            _reject_unless_standby_url(address)
        return self

    @cached_property
    def url(self) -> URL:
        """The address with its driver named."""
        return parse_url(self.database_url)

    @property
    def has_reigns(self) -> bool:
        """Whether it matters which of several servers is the primary."""
        return bool(self.lookup_database_urls or self.fencing_seconds)

    @property
    def is_default(self) -> bool:
        """Whether nobody has named a database."""
        return "database_url" not in self.model_fields_set

    @property
    def address(self) -> str:
        """The address as people write it, to be shown: without its password."""
        return self.url.set(drivername=self.url.get_backend_name()).render_as_string()


def parse_url(text: str) -> URL:
    """Read a database address as people write it.

    SQLAlchemy 2.1 takes `postgresql://` for psycopg 3 and does not know `postgres://`. An
    application with the same URL may name its own driver in it ("sqlite+aiosqlite").
    """
    if text.startswith("postgres://"):
        text = text.replace("postgres://", "postgresql://", 1)
    url = make_url(text)
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg2")
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite")
    return url


def _reject_unless_standby_url(text: str) -> None:
    try:
        url = parse_url(text)
        is_postgresql = url.get_backend_name() == "postgresql"
    except (ArgumentError, ValueError):
        is_postgresql = False
    if not is_postgresql:
        raise ValueError("LOOKUP_DATABASE_URLS must begin with postgresql://")
    reject_unless_standby({"host": url.host, **url.query})


@contextmanager
def one_clear_line() -> Iterator[None]:
    """Raise InvalidSettings in place of pydantic's several lines, naming the variable to mend."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]).upper() if first["loc"] else ""
        if name and not name.endswith("DATABASE_URL"):
            name = PREFIX + name
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidSettings(f"{name}: {reason}" if name else reason) from None
    except SettingsError as error:
        raise InvalidSettings(str(error)) from None


def reject_unknown(*layers: type[LayerSettings]) -> None:
    """Raise InvalidSettings for a misspelt name: one with our prefix, or one like DATABASE_URL.

    The latter counts only where no database is named, as the default would be used in silence.
    """
    known = {(PREFIX + name).lower() for layer in layers for name in layer.model_fields}
    # A name with _FILE means a file that holds the value.
    names = {name.removesuffix(SUFFIX) for name in _given()}
    for name in sorted(names):
        if name.startswith(PREFIX.lower()) and name not in known:
            raise InvalidSettings(f"{name.upper()}: there is no such setting")
        if _is_misspelt_prefix(name):
            raise InvalidSettings(f"{name.upper()}: settings begin with {PREFIX}")
    if names.isdisjoint({_DATABASE_URL, PREFIX.lower() + _DATABASE_URL}):
        for name in sorted(names):
            if _is_like_database_url(name):
                raise InvalidSettings(f"{name.upper()}: the database is named by DATABASE_URL")


def _is_misspelt_prefix(name: str) -> bool:
    prefix, expected = name.partition("_")[0], PREFIX.lower().rstrip("_")
    return prefix != expected and SequenceMatcher(None, prefix, expected).ratio() > _SIMILAR


def _is_like_database_url(name: str) -> bool:
    similar = SequenceMatcher(None, name, _DATABASE_URL).ratio() > _SIMILAR
    return similar or _OTHER_DATABASE_URL.fullmatch(name) is not None
