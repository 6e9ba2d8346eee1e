"""The lines that `serve` writes to standard output."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest

from api.middleware import request_id
from api.observability.logs import Access, JsonFormatter, TextFormatter
from harness.server import REPOSITORY, Server
from tests.support.client import PASSWORD, Client, connected
from tests.support.waiting import until

FORMATTERS = [JsonFormatter(), TextFormatter()]
QUICK = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}

# A service with a route that fails, as one of the reader's own may.
BROKEN = """
import uvicorn
from api.server.worker import load_app

app = load_app()

@app.get("/broken")
def broken() -> None:
    raise ValueError("first line\\n{\\"level\\": \\"forged\\"}")

uvicorn.run(app, port=PORT, log_config=None, access_log=False)
"""


def lines_of(server: Server) -> list[dict[str, Any]]:
    """All lines of the log after the announcement for a terminal. Each must be JSON."""
    lines = server.log().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("{"))
    return [json.loads(line) for line in lines[begin:]]


def access_lines(server: Server) -> list[dict[str, Any]]:
    """Those of requests but for the one by which the test sees that the service is up."""
    found = [line for line in lines_of(server) if line["logger"] == "counterfoil.access"]
    return [line for line in found if line["path"] != "/health/live"]


def lines_with_id(server: Server, identifier: str) -> list[dict[str, Any]]:
    return [line for line in lines_of(server) if line.get("request_id") == identifier]


@pytest.fixture
def serving() -> Iterator[tuple[Server, Client]]:
    with (
        Server.launch(workers=2, environment=QUICK) as server,
        connected(server.url) as client,
    ):
        yield server, client


def test_each_request_is_one_line_of_json_without_secrets(
    serving: tuple[Server, Client],
) -> None:
    server, client = serving
    tokens = client.sign_up()
    for number in range(20):
        headers = {**tokens.headers, "X-Request-Id": f"request-{number}"}
        client.http.get("/users/me?access_token=cfa_in_the_query", headers=headers)
    client.http.get(f"/nowhere/{tokens.refresh_token}")
    client.refresh(tokens.refresh_token)
    user_id = client.me(client.log_in()).json()["id"]
    until(lambda: len(access_lines(server)) == 26)

    line = next(one for one in access_lines(server) if one["request_id"] == "request-7")
    assert line["level"] == "info"
    assert line["message"] == "GET /users/me 200"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/users/me", 200)
    assert line["client"] == "127.0.0.1"
    assert line["user_id"] == user_id
    assert 0 < line["milliseconds"] < 60_000
    log = server.log()
    for secret in (tokens.access_token, tokens.refresh_token, "in_the_query", PASSWORD):
        assert secret not in log


def test_uvicorn_writes_in_the_same_form_and_no_lines_of_its_own_for_requests(
    serving: tuple[Server, Client],
) -> None:
    server, client = serving
    client.http.get("/users/me")
    server.stop()
    loggers = {line["logger"] for line in lines_of(server)}
    # The start has warned of a weak setting.
    assert loggers == {"counterfoil.access", "counterfoil.startup", "uvicorn.error"}


def test_an_unexpected_error_is_one_line_with_its_traceback_and_the_id_of_the_request() -> None:
    program = BROKEN.replace("PORT", "{port}")
    with (
        Server.launch(command=[sys.executable, "-c", program]) as server,
        connected(server.url) as client,
    ):
        answer = client.http.get("/broken", headers={"X-Request-Id": "the-broken-one"})
        until(lambda: len(lines_with_id(server, "the-broken-one")) >= 2)
        server.stop()
        traceback, access = lines_with_id(server, "the-broken-one")
        assert all(line["level"] != "forged" for line in lines_of(server))
    assert answer.status_code == 500
    assert "first line" not in answer.text
    assert traceback["level"] == "error"
    assert 'ValueError: first line\n{"level": "forged"}' in traceback["exception"]
    assert access["status"] == 500


@pytest.mark.parametrize(
    ("environment", "loggers"),
    [
        ({"COUNTERFOIL_ACCESS_LOG": "off"}, {"uvicorn.error"}),
        ({"COUNTERFOIL_LOG_LEVEL": "WARNING"}, set()),
    ],
)
def test_requests_are_not_logged_if_they_are_not_to_be(
    environment: Mapping[str, str], loggers: set[str]
) -> None:
    with Server.launch(environment=environment) as server, connected(server.url) as client:
        client.http.get("/users/me")
        server.stop()
        lines = [line for line in server.log().splitlines() if line.startswith("{")]
        assert {json.loads(line)["logger"] for line in lines} == loggers


def test_people_can_have_text() -> None:
    with Server.launch(environment={"COUNTERFOIL_LOG_FORMAT": "text"}) as server:
        until(lambda: "INFO    access: GET /health/live 200 " in server.log())
        assert "{" not in server.log()


def record(path: str, *, client: str = "127.0.0.1", milliseconds: float = 0.1) -> logging.LogRecord:
    line = Access("GET", path, 200, milliseconds, client, 42)
    return logging.LogRecord("counterfoil.access", logging.INFO, "", 0, line, None, None)


def test_a_line_of_json_is_what_the_documentation_shows() -> None:
    shown = record("/users/me", client="203.0.113.9", milliseconds=1.9)
    moment = datetime(2026, 11, 21, 12, tzinfo=UTC)
    shown.created, shown.msecs = moment.timestamp() + 0.123, 123.0
    context = copy_context()
    context.run(request_id.set, "9f2c4e0d1a7b3c58")
    line = context.run(JsonFormatter().format, shown)
    assert f"\n{line}\n" in (REPOSITORY / "docs" / "how-to" / "deployment.md").read_text()


@pytest.mark.parametrize("identifier", [None, "9f2c4e0d1a7b3c58"])
@pytest.mark.parametrize(
    "line",
    [
        Access("GET", "/users/me", 200, 1.9, "203.0.113.9", 42),
        Access("DELETE", "/sessions/7", 204, 12.0, None, None),
        Access("POST", '/"\\\n\x1b[2K\u2028\ud800/é', 499, 0.0, "::1", None),
        Access("GET", "/cfr_" + "a" * 49, 404, 60000.1, "127.0.0.1", 9_007_199_254_740_993),
    ],
)
def test_the_quick_line_of_a_request_is_that_of_the_formatter(
    line: Access, identifier: str | None
) -> None:
    entry = logging.LogRecord("counterfoil.access", logging.INFO, "", 0, line, None, None)
    context = copy_context()
    context.run(request_id.set, identifier)
    assert line.to_json(entry.created, identifier) == context.run(JsonFormatter().format, entry)


def test_what_is_not_known_of_a_request_is_left_out() -> None:
    line = Access("GET", "/", 200, 0.1, None, None)
    entry = logging.LogRecord("counterfoil.access", logging.INFO, "", 0, line, None, None)
    names = ["time", "level", "logger", "message", "method", "path", "status", "milliseconds"]
    assert list(json.loads(JsonFormatter().format(entry))) == names


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\x0b", "\x85", "\u2028", "\u2029", "\x1b[2K"])
def test_nothing_that_is_logged_can_begin_a_line_or_command_a_terminal(
    formatter: logging.Formatter, end: str
) -> None:
    forged = f"/{end}2026-11-21 INFO access: GET /forged 200"
    line = formatter.format(record(forged, client=forged))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_token_that_has_slipped_into_a_line_is_cut_out(formatter: logging.Formatter) -> None:
    token = "cfr_" + "a" * 49
    line = formatter.format(record(f"/{token}/x"))
    assert token not in line
    assert "cfr_[removed]/x" in line


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_line_outside_of_requests_has_no_id(formatter: logging.Formatter) -> None:
    assert request_id.get() is None
    assert "request_id" not in formatter.format(record("started"))


def test_the_lines_of_a_traceback_in_text_do_not_look_like_lines_of_the_log() -> None:
    try:
        raise ValueError("broken\n2026-11-21 12:00:00 INFO    access: GET /forged 200")
    except ValueError as error:
        broken = record("failed")
        broken.exc_info = (type(error), error, error.__traceback__)
    first, *others = TextFormatter().format(broken).splitlines()
    assert "GET failed 200" in first
    assert all(line.startswith("    ") for line in others)
