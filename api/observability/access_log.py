"""Keeps secrets out of uvicorn's access log, which writes down whole addresses.

A client that puts its token into the address is refused, but its request has been logged by then.
"""

import logging
import re

_TOKEN = re.compile(r"(cf[ark]_)[A-Za-z0-9_-]+")


class WithoutSecrets(logging.Filter):
    """Cuts the query string off, and what looks like a token of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_clean, record.args))
        return True


def install() -> None:
    """Any number of times."""
    log = logging.getLogger("uvicorn.access")
    if not any(isinstance(present, WithoutSecrets) for present in log.filters):
        log.addFilter(WithoutSecrets())


def _clean(value: object) -> object:
    if not isinstance(value, str):
        return value
    return _TOKEN.sub(r"\1...", value.partition("?")[0])
