"""SQL about the time of the database itself, which is the one that counts."""


class Clock:
    """Writes times in the way of the database under test."""

    def __init__(self, database_url: str) -> None:
        self._is_sqlite = database_url.startswith("sqlite")

    def in_seconds(self, seconds: int) -> str:
        """A point in time from now on, or before now."""
        if self._is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '{seconds:+d} seconds')"
        return f"now() + interval '{seconds} seconds'"

    def seconds_until(self, column: str) -> str:
        """How long it is until then."""
        if self._is_sqlite:
            return f"(julianday({column}) - julianday('now')) * 86400"
        return f"extract(epoch FROM {column} - now())"
