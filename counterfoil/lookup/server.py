"""How every connection to PostgreSQL is made: to the primary, in UTF-8, with our settings."""

import re
from collections.abc import Mapping
from typing import Any

# Detects within a minute a connection that a firewall has dropped without telling either side.
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3}

# Settings that change what the lookup means or returns. A role, a database or the server may have
# other values.
LOOKUP_SETTINGS = {
    "bytea_output": "hex",
    # Lower values would round the times, which the lookup returns as floating-point numbers.
    "extra_float_digits": "1",
    # A table of the same name in another schema must not be found first.
    "search_path": "public, pg_temp",
}

_PLAIN_SEARCH_PATH = re.compile(r"(?:^|\s)-c\s*search_path=([a-z_]\w*(?:,[a-z_]\w*)*)(?:\s|$)")

_PRIMARY = "target_session_attrs"
_PRIMARIES = frozenset({"primary", "read-write"})


def connection_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The driver's arguments for an address, before names are resolved."""
    return {**KEEPALIVES, **given, "client_encoding": "UTF8"}


def only_primary(options: dict[str, Any]) -> dict[str, Any]:
    """Let libpq skip standbys if there are several addresses.

    The connection itself asks again, because PgBouncer may answer libpq from a cache.
    """
    hosts = str(options.get("hostaddr") or options.get("host") or "")
    return {_PRIMARY: "primary", **options} if "," in hosts else options


def reject_standbys(options: Mapping[str, Any]) -> None:
    """Raise ValueError for options that allow or demand a standby."""
    if options.get(_PRIMARY, "primary") not in _PRIMARIES:
        raise ValueError(
            "target_session_attrs must be read-write or primary: a standby lags behind revocations"
        )


def reject_unless_standby(options: Mapping[str, Any]) -> None:
    """Raise ValueError for options that name several servers, or demand a primary."""
    if "," in str(options.get("host") or options.get("hostaddr") or ""):
        raise ValueError("each standby needs a URL of its own")
    if options.get(_PRIMARY, "any") in _PRIMARIES:
        raise ValueError("the URL of a standby must not demand a primary by target_session_attrs")


def settings_for(options: Mapping[str, Any]) -> dict[str, str]:
    """LOOKUP_SETTINGS, with the schemas that the options name.

    They are named again because PgBouncer may have ignored the options. Names that need quotes are
    left to the server, which has read them already.
    """
    given = str(options.get("options", ""))
    if "search_path" not in given:
        return LOOKUP_SETTINGS
    if plain := _PLAIN_SEARCH_PATH.search(given):
        return {**LOOKUP_SETTINGS, "search_path": f"{plain[1]}, pg_temp"}
    return {name: value for name, value in LOOKUP_SETTINGS.items() if name != "search_path"}
