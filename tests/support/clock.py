"""Writes SQL expressions for points in time by the database's clock."""


class Clock:
    """SQL for the database under test."""

    def __init__(self, database_url: str) -> None:
        self._is_sqlite = database_url.startswith("sqlite")

    def in_seconds(self, seconds: int) -> str:
        """The point in time `seconds` from now, which may be negative."""
        if self._is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '{seconds:+d} seconds')"
        return f"now() + interval '{seconds} seconds'"

    def in_milliseconds(self, milliseconds: int) -> str:
        """The point in time `milliseconds` from now."""
        if self._is_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '+{milliseconds / 1000} seconds')"
        return f"now() + interval '{milliseconds} milliseconds'"

    def seconds_until(self, column: str) -> str:
        """The seconds from now until the time in a column."""
        if self._is_sqlite:
            return f"(julianday({column}) - julianday('now')) * 86400"
        return f"extract(epoch FROM {column} - now())"
