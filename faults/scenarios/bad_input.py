"""Oversized, deeply nested and malformed requests: rejected, and without using memory."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterfoil import tokens
from counterfoil.tokens import TokenKind
from faults import observe
from faults.calls import Answer, Caller
from faults.context import ScenarioContext
from faults.registry import Outcome, scenario
from harness.server import Server

_MEGABYTE = 1_000_000
_JSON = "Content-Type: application/json\r\n"
_FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
EXAMPLES = 10_000


@scenario(
    "F22", "200 MB of body, 200 kB of head, 30,000 and 100,000 brackets, 10,000 fields", quick=True
)
def oversized_requests(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database())
    with Caller(service.url) as caller:
        caller.log_in("nobody@example.org")
    memory = psutil.Process(service.pid).memory_info
    before, results = memory().rss, {}
    for name, (expected, head, body) in _requests().items():
        for _ in range(3):
            results[name] = (_send(service, head, body()), expected)
    growth = (memory().rss - before) / _MEGABYTE
    figures = ", ".join(f"{name} {status}" for name, (status, _) in results.items())
    held = all(status in expected for status, expected in results.values())
    return Outcome(held and growth < 20, f"{figures}; the memory grew by {growth:.1f} MB")


def _requests() -> dict[str, tuple[set[str], str, Callable[[], Iterator[bytes]]]]:
    """The expected statuses, the head and the body of each request."""
    post = "POST /login HTTP/1.1\r\nHost: x\r\n"
    form = "POST /token HTTP/1.1\r\nHost: x\r\n"
    return {
        "a length of 200 MB": (
            {"413"},
            f"{post}{_JSON}Content-Length: 200000000\r\n\r\n",
            lambda: (bytes(_MEGABYTE) for _ in range(200)),
        ),
        "200 MB in chunks": (
            {"413"},
            f"{post}{_JSON}Transfer-Encoding: chunked\r\n\r\n",
            lambda: (b"f4240\r\n" + bytes(_MEGABYTE) + b"\r\n" for _ in range(200)),
        ),
        "a head of 200 kB": (
            {"431"},
            f"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: {'x' * 200_000}\r\n\r\n",
            lambda: iter(()),
        ),
        "30,000 brackets": ({"400", "422"}, *_with_body(f"{post}{_JSON}", b"[" * 30_000)),
        "100,000 brackets": ({"413"}, *_with_body(f"{post}{_JSON}", b"[" * 100_000)),
        "10,000 fields": ({"400", "413"}, *_with_body(f"{form}{_FORM}", b"a=b&" * 10_000)),
    }


def _with_body(head: str, body: bytes) -> tuple[str, Callable[[], Iterator[bytes]]]:
    return f"{head}Content-Length: {len(body)}\r\n\r\n", lambda: iter([body])


def _send(service: Server, head: str, body: Iterator[bytes]) -> str:
    """Send a request and return the status. The server may answer and close before its end."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        answer = b""
        with suppress(OSError):
            connection.sendall(head.encode())
            for piece in body:
                connection.sendall(piece)
        with suppress(OSError):
            answer = connection.recv(65_536)
    return answer[9:12].decode() or "no answer"


# Text that resembles a token but has a wrong prefix, body or checksum.
_MALFORMED_TOKENS = st.builds(
    lambda kind, body, end: f"{kind}{body}{end}",
    st.sampled_from(["cfa_", "cfr_", "cfk_", "cfx_", "CFA_", ""]),
    st.text(min_size=30, max_size=60) | st.text("abcXYZ019-_", min_size=43, max_size=43),
    st.text(max_size=8),
)


@scenario("F23", f"{EXAMPLES:,} malformed tokens in the header and in the form, by hypothesis")
def malformed_tokens(context: ScenarioContext) -> Outcome:
    # Without limits: with them, all but the first few hundred would be rejected unread.
    service = context.serve(context.database(), login_throttle="off")
    answers: list[Answer] = []
    with Caller(service.url) as caller:

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(_MALFORMED_TOKENS | st.text(st.characters(), max_size=100))
        def send(text: str) -> None:
            if tokens.kind_of(text) is None:
                answers.append(_use(caller, text))

        send()
        # A well-formed token that was never issued.
        answers.append(caller.use(tokens.create(TokenKind.ACCESS).text))
    wrong = [answer for answer in answers if answer.status not in {400, 401}]
    return Outcome(not wrong and len(answers) >= EXAMPLES, observe.statuses(answers))


def _use(caller: Caller, text: str) -> Answer:
    """Send it as an access token if a header can hold it, and otherwise as a refresh token."""
    if text.isascii() and text.isprintable():
        return caller.use(text)
    # Lone surrogates are sent in the bytes that a careless client would encode them to.
    secret = text.encode(errors="surrogatepass")
    form: dict[str, str | bytes] = {"grant_type": "refresh_token", "refresh_token": secret}
    return caller.call("POST", "/token", form=form)
