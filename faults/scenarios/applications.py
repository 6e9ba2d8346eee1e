"""An application in another process, whose service or database hangs, stops or is another one."""

import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url

from faults import observe
from faults.calls import Answer, Caller, Tokens
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up, suspended
from faults.registry import Outcome, scenario
from harness import wrong_server
from harness.relay import Relay
from harness.server import Server

CALLERS = 100
# For the threads of the callers and two cores.
_LATE_SECONDS = 0.5
_BACK_SECONDS = 2.0

_WRONG = {
    "hung": wrong_server.hang,
    "drip-feeding": wrong_server.drip,
    "answering 500": wrong_server.always("500 Internal Server Error", "text/plain", b"oops"),
    "another service": wrong_server.always("200 OK", "application/json", b'{"status":"ok"}'),
    "a page for everything": wrong_server.always("200 OK", "text/html", b"<h1>Welcome</h1>"),
}


@dataclass
class _Record:
    """What was seen in each phase."""

    application: Server
    tokens: Tokens
    deadline: float
    figures: list[str] = field(default_factory=list)
    held: bool = True

    def strike(self, fault: str) -> None:
        """A hundred callers at once while the fault lasts, and one without a token."""
        answers = self._ask_at_once()
        with Caller(self.application.url) as caller:
            live = caller.call("GET", "/live")
        slowest = observe.slowest(answers)
        self._judge(
            all(map(observe.is_503_with_retry_after, answers))
            and live.status == 200
            and slowest <= self.deadline + _LATE_SECONDS,
            f"{fault} {observe.statuses(answers)}, slowest {slowest:.1f} s",
        )

    def recover(self) -> None:
        """Until the token is accepted again, and a revoked one would not be."""
        back = seconds_until(lambda: self._ask().status == 200)
        self._judge(back <= _BACK_SECONDS, f"back after {back:.1f} s")

    def _judge(self, held: bool, figures: str) -> None:
        self.held = self.held and held
        self.figures.append(figures)

    def _ask_at_once(self) -> list[Answer]:
        with ThreadPoolExecutor(CALLERS) as threads:
            return list(threads.map(lambda _: self._ask(), range(CALLERS)))

    def _ask(self) -> Answer:
        with Caller(self.application.url) as caller:
            return caller.use(self.tokens.access_token)


@scenario("F33", f"the service that an application asks hung, stopped, wrong; {CALLERS} callers")
def service_of_an_application(context: ScenarioContext) -> Outcome:
    url = context.database()
    service = context.serve(url)
    tokens = sign_up(service)
    key = _introspection_key(service, url)
    with Relay(service.port) as relay:
        address = f"http://127.0.0.1:{relay.port}"
        with _application(context, AUTH_URL=address, API_KEY=key) as application:
            record = _Record(application, tokens, context.deadline)
            record.recover()
            for fault, behaviour in _WRONG.items():
                with wrong_server.listening(behaviour) as port, _led_to(relay, port):
                    record.strike(fault)
                record.recover()
            with _stopped_by_signal(service):
                record.strike("SIGSTOP")
            record.recover()
            relay.drops_data = True
            record.strike("black hole")
            relay.drops_data = False
            record.recover()
            # Ends the scenario's service, so it comes last.
            service.stop()
            record.strike("stopped")
    return Outcome(record.held, "; ".join(record.figures))


@scenario("F33", f"the database that an application asks hung, stopped, wrong; {CALLERS} callers")
def database_of_an_application(context: ScenarioContext) -> Outcome:
    database, url = context.cluster()
    service = context.serve(url)
    tokens = sign_up(service)
    relay, relayed = context.relay(url)
    other, _ = context.cluster()
    other.drop_database("counterfoil")
    with _application(context, DATABASE_URL=relayed) as application:
        record = _Record(application, tokens, context.deadline)
        record.recover()
        with suspended(database):
            record.strike("SIGSTOP")
        record.recover()
        relay.drops_data = True
        record.strike("black hole")
        relay.drops_data = False
        record.recover()
        with _led_to(relay, make_url(other.url("postgres")).port or 5432):
            record.strike("another server")
        record.recover()
        with wrong_server.listening(wrong_server.drip) as port, _led_to(relay, port):
            record.strike("no database at all")
        record.recover()
        database.stop("immediate")
        record.strike("stopped")
        database.start()
        record.recover()
    return Outcome(record.held, "; ".join(record.figures))


@contextmanager
def _application(context: ScenarioContext, **settings: str) -> Iterator[Server]:
    given = {"DEADLINE_SECONDS": str(context.deadline), **settings}
    with Server.launch(
        command=[sys.executable, "-m", "uvicorn", "faults.application:app", "--port", "{port}"],
        environment={f"APPLICATION_{name}": value for name, value in given.items()},
        live_path="/live",
    ) as server:
        yield server


def _introspection_key(service: Server, url: str) -> str:
    observe.run_sql(
        url,
        "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
        f" WHERE u.email = '{EMAIL}' AND r.name = 'admin'",
    )
    with Caller(service.url) as caller:
        root = caller.log_in(EMAIL).body["access_token"]
        body = {"name": "application", "scopes": ["introspect"]}
        made = caller.call("POST", "/api-keys", token=root, json_body=body)
    return str(made.body["key"])


@contextmanager
def _led_to(relay: Relay, port: int) -> Iterator[None]:
    """Existing and new connections lead to another server until the block ends."""
    former, relay.target_port = relay.target_port, port
    relay.reset_connections()
    try:
        yield
    finally:
        relay.target_port = former
        relay.reset_connections()


@contextmanager
def _stopped_by_signal(service: Server) -> Iterator[None]:
    service.send(signal.SIGSTOP)
    time.sleep(0.1)
    try:
        yield
    finally:
        service.send(signal.SIGCONT)
