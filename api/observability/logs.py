"""Log lines on standard output, as JSON or as text, that no input can forge.

`serve` sets this up for itself and its workers. Another server, such as `uvicorn api:app`, sets up
logging itself.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quote
from typing import Any, NamedTuple

from fastapi import Request
from starlette.types import Scope

from api.middleware import request_id
from api.observability.output import Output
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
                "stream": "ext://api.observability.output.stdout",
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
    return (JsonFormatter if is_json(settings) else TextFormatter).__name__


def is_json(settings: ApiSettings) -> bool:
    """Whether `serve` writes lines of JSON rather than text."""
    if settings.log_format is LogFormat.AUTO:
        return not sys.stdout.isatty()
    return settings.log_format is LogFormat.JSON


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

    def to_json(self, created: float, identifier: str | None) -> str:
        """The same line as JsonFormatter's, made without a log record, which takes much longer."""
        line = (
            f'{{"time": "{_time(created)}Z", "level": "info", "logger": "counterfoil.access",'
            f' "message": {_quote(str(self))}'
        )
        if identifier is not None:
            line += f', "request_id": {_quote(identifier)}'
        line += (
            f', "method": {_quote(self.method)}, "path": {_quote(self.path)},'
            f' "status": {self.status}, "milliseconds": {self.milliseconds}'
        )
        if self.client is not None:
            line += f', "client": {_quote(self.client)}'
        if self.user_id is not None:
            line += f', "user_id": {self.user_id}'
        return tokens.redact(line + "}")


class AccessLog:
    """Writes one line for each request that is over: of JSON to an output, if there is one.

    Otherwise it is logged like anything else.
    """

    def __init__(
        self, trusted_proxies: tuple[Network, ...], *, output: Output | None = None
    ) -> None:
        self._trusted = trusted_proxies
        self._output = output

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
        if self._output is None:
            access.info(line)
        else:
            self._output.write(line.to_json(time.time(), request_id.get()) + "\n")

    def _client(self, scope: Scope) -> str | None:
        if self._trusted:
            return client_address.of(Request(scope), self._trusted)
        return scope["client"][0] if scope.get("client") else None


class JsonFormatter(logging.Formatter):
    """One object a line. JSON escapes what could end the line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": f"{_time(record.created)}Z",
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
        line = (
            f"{_time(record.created)} {record.levelname:<7} {name}: {record.getMessage().strip()}"
        )
        if isinstance(record.msg, Access):
            line += f" {record.msg.milliseconds} ms, client {record.msg.client or '-'}"
            line += f", user {record.msg.user_id or '-'}"
        identifier = request_id.get()
        lines = [line if identifier is None else f"{line} [{identifier}]"]
        if record.exc_info:
            lines += ["    " + line for line in self.formatException(record.exc_info).splitlines()]
        return tokens.redact("\n".join(map(_printable, lines)))


def _time(created: float) -> str:
    return f"{_second(int(created))}.{int(created * 1000) % 1000:03d}"


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
