"""Log lines on standard output, as JSON or as text, that no input can forge.

`serve` sets this up for itself and its workers. Another server, such as `uvicorn api:app`, sets up
logging itself.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from fastapi import Request
from starlette.types import Scope

from api.middleware import request_id
from api.request import client_address
from api.settings import ApiSettings, LogFormat, Network
from counterfoil import tokens
from counterfoil.authenticator import RESOLVED

access = logging.getLogger("counterfoil.access")

_LONGEST_PATH = 2000


def configuration(settings: ApiSettings) -> dict[str, Any]:
    """For `logging.config.dictConfig`, here and in every worker."""
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"api.observability.logs.{_choose_formatter(settings)}"}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
            }
        },
        # What libraries log in detail may contain what was sent to us, so their warnings suffice.
        "root": {"handlers": ["stdout"], "level": max(level, "WARNING", key=_severity)},
        "loggers": {
            "counterfoil": {"level": level},
            "uvicorn": {"level": level},
            # Our own access log knows the id of the request and its user.
            "uvicorn.access": {"level": "CRITICAL", "propagate": False},
        },
    }


def _choose_formatter(settings: ApiSettings) -> str:
    is_text = settings.log_format is LogFormat.TEXT
    if settings.log_format is LogFormat.AUTO:
        is_text = sys.stdout.isatty()
    return TextFormatter.__name__ if is_text else JsonFormatter.__name__


def _severity(level: str) -> int:
    return logging.getLevelNamesMapping()[level]


class Access(NamedTuple):
    """The fields of a line of the access log."""

    method: str
    path: str
    status: int
    milliseconds: float
    client: str | None
    user_id: int | None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


class AccessLog:
    """Writes one line for each request that is over."""

    def __init__(self, trusted_proxies: tuple[Network, ...]) -> None:
        self._trusted = trusted_proxies

    def on_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Without the query string, the body and the headers, which may hold secrets."""
        if not access.isEnabledFor(logging.INFO):
            return
        identity = scope.get(RESOLVED)
        line = Access(
            scope["method"],
            scope["path"][:_LONGEST_PATH],
            status,
            round(seconds * 1000, 1),
            self._client(scope),
            identity.user_id if identity else None,
        )
        access.info(line)

    def _client(self, scope: Scope) -> str | None:
        if self._trusted:
            return client_address.of(Request(scope), self._trusted)
        return scope["client"][0] if scope.get("client") else None


class JsonFormatter(logging.Formatter):
    """One object a line. JSON escapes what could end the line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": f"{_time(record)}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip(),
            "request_id": request_id.get(),
        }
        if isinstance(record.msg, Access):
            entry |= record.msg._asdict()
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        known = {name: value for name, value in entry.items() if value is not None}
        return tokens.redact(json.dumps(known))


class TextFormatter(logging.Formatter):
    """For a terminal. Tracebacks are indented, so that no line of theirs looks like a new entry."""

    def format(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("counterfoil.")
        line = f"{_time(record)} {record.levelname:<7} {name}: {record.getMessage().strip()}"
        if isinstance(record.msg, Access):
            line += f" {record.msg.milliseconds} ms, client {record.msg.client or '-'}"
            line += f", user {record.msg.user_id or '-'}"
        identifier = request_id.get()
        lines = [line if identifier is None else f"{line} [{identifier}]"]
        if record.exc_info:
            lines += ["    " + line for line in self.formatException(record.exc_info).splitlines()]
        return tokens.redact("\n".join(map(_printable, lines)))


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}"


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    """In UTC. Cached, since many lines are written in the same second."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _printable(text: str) -> str:
    """Escape line ends, terminal control characters and marks that reverse the text direction."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
