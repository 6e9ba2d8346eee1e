"""Log lines on standard output: JSON for machines, text for people, and nobody can forge one.

`serve` sets this up for itself and its workers. Under another server, such as `uvicorn api:app`,
logging is that server's affair.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.types import Scope

from api import client_address
from api.middleware import RESOLVED, request_id
from api.settings import ApiSettings, LogFormat, Network

access = logging.getLogger("counterfoil.access")

_LONGEST_PATH = 2000
# The last gate: whatever went wrong before, a token does not get into the log.
_TOKEN = re.compile(r"(cf[ark]_)[A-Za-z0-9_-]{16,}")
# Parts of the message of an access line, which need not be repeated beside it.
_IN_MESSAGE = frozenset({"method", "path", "status"})


def configuration(settings: ApiSettings) -> dict[str, Any]:
    """For `logging.config.dictConfig`, here and in every worker."""
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"api.logs.{_choose_formatter(settings)}"}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
            }
        },
        # What libraries say in detail may hold what was sent to us: only their warnings are taken.
        "root": {"handlers": ["stdout"], "level": max(level, "WARNING", key=_severity)},
        "loggers": {
            "counterfoil": {"level": level},
            "uvicorn": {"level": level},
            # Ours is written where the request's id and its user are known.
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


class AccessLog:
    """Writes one line for each request that is over."""

    def __init__(self, trusted_proxies: tuple[Network, ...]) -> None:
        self._trusted = trusted_proxies

    def on_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Without the query string, the body and the headers, which may hold secrets."""
        if not access.isEnabledFor(logging.INFO):
            return
        method, path = scope["method"], scope["path"][:_LONGEST_PATH]
        identity = scope.get(RESOLVED)
        fields = {
            "method": method,
            "path": path,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "client": self._client(scope),
            "user_id": identity.user_id if identity else None,
        }
        access.info("%s %s %d", method, path, status, extra={"fields": fields})

    def _client(self, scope: Scope) -> str | None:
        if self._trusted:
            return client_address.of(Request(scope), self._trusted)
        return scope["client"][0] if scope.get("client") else None


class JsonFormatter(logging.Formatter):
    """One object a line. JSON escapes what could end the line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().rstrip("\n"),
            "request_id": request_id.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        present = {name: value for name, value in line.items() if value is not None}
        return _without_tokens(json.dumps(present, default=str))


class TextFormatter(logging.Formatter):
    """For a terminal. Tracebacks are indented, so that no line of theirs looks like a new entry."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {**getattr(record, "fields", {}), "request_id": request_id.get()}
        parts = [
            f"{_time(record):%Y-%m-%d %H:%M:%S}",
            f"{record.levelname:<7}",
            f"{record.name.removeprefix('counterfoil.')}:",
            record.getMessage().rstrip("\n"),
            *(f"{name}={value}" for name, value in fields.items() if _is_shown(name, value)),
        ]
        lines = [" ".join(parts)]
        if record.exc_info:
            lines += ["    " + line for line in self.formatException(record.exc_info).splitlines()]
        return _without_tokens("\n".join(map(_printable, lines)))


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _is_shown(name: str, value: object) -> bool:
    return value is not None and name not in _IN_MESSAGE


def _printable(text: str) -> str:
    """Line ends, terminal controls and marks that reverse the direction become escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _without_tokens(line: str) -> str:
    return _TOKEN.sub(r"\1[removed]", line)
