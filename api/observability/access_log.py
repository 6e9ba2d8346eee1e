"""Keeps secrets out of uvicorn's access log, which contains query strings.

A request with a token in its query string is rejected, but it is logged all the same.
"""

import logging

from counterfoil import tokens


class SecretFilter(logging.Filter):
    """Removes the query string, and what looks like a token of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_clean, record.args))
        return True


def install() -> None:
    """Add the filter to uvicorn's logger, once however often this is called."""
    log = logging.getLogger("uvicorn.access")
    if not any(isinstance(present, SecretFilter) for present in log.filters):
        log.addFilter(SecretFilter())


def _clean(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tokens.redact(value.partition("?")[0])
