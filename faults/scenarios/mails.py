"""A mail server that hangs, an outbox that is full, a worker that is killed while it sends."""

import email
import email.policy
import multiprocessing
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any

import psutil
import psycopg2

from faults import observe
from faults.calls import Answer, Caller, register
from faults.context import EMAIL, ScenarioContext, seconds_until, sign_up
from faults.registry import Outcome, scenario
from harness.smtp import MailServer, serve

SENDER = "no-reply@example.org"
FULL = 100_000
MEASURED_SECONDS = 20.0
REQUEST_SECONDS = 0.05
MAX_GROWTH_MB = 60


@scenario("F30", "a mail server that hangs for 60 s at every second recipient")
def mail_server_hangs(context: ScenarioContext) -> Outcome:
    """Requests do not wait for it, and the other mails go."""
    server = MailServer(hangs_for=lambda address: 60.0 if address.startswith("slow") else 0.0)
    names = [f"{kind}{number}@example.org" for number in range(4) for kind in ("slow", "fast")]
    with serve(server):
        service = context.serve(
            context.database(), **_mail_settings(server.port), mail_timeout_seconds=2
        )
        answers: list[Answer] = []
        with Caller(service.url) as caller:
            for name in names:
                register(caller, name)
            for name in names:
                body = {"email": name}
                answers.append(caller.call("POST", "/password/forgot", json_body=body))
        expected = {name for name in names if name.startswith("fast")}
        waited = seconds_until(lambda: expected <= set(server.recipients), timeout=60)
    slowest = observe.slowest(answers)
    held = {answer.status for answer in answers} == {202} and slowest < REQUEST_SECONDS
    return Outcome(
        held and waited < 60 and set(server.recipients) == expected,
        f"{len(answers)} requests, slowest {1000 * slowest:.0f} ms; the other {len(expected)} mails"
        f" were taken after {waited:.1f} s",
    )


@scenario("F31", f"an outbox of {FULL:,} mails")
def full_outbox(context: ScenarioContext) -> Outcome:
    """How fast it empties, what that takes of memory, and whether requests go on."""
    url = context.database()
    with mail_server() as server:
        service = context.serve(url, **_mail_settings(server.port))
        token = sign_up(service).access_token
        process = psutil.Process(service.worker_pids()[0])
        before = process.memory_info().rss
        _fill_outbox(url, FULL)
        answers, most = list[Answer](), before
        began = time.monotonic()
        with Caller(service.url) as caller:
            while time.monotonic() - began < MEASURED_SECONDS:
                answers.append(caller.use(token))
                most = max(most, process.memory_info().rss)
                time.sleep(0.02)
        ((sent,),) = _run(url, "SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL")
        service.stop()
    growth = (most - before) / 1e6
    held = {answer.status for answer in answers} == {200} and growth < MAX_GROWTH_MB
    return Outcome(
        held and sent > 0,
        f"{sent / MEASURED_SECONDS:.0f} mails/s by one worker; its memory grew by {growth:.0f} MB;"
        f" {len(answers)} token checks beside it, slowest {observe.slowest(answers):.2f} s",
    )


@scenario("F32", "SIGKILL of the service while mails are taken by a mail server")
def killed_while_sending(context: ScenarioContext) -> Outcome:
    """None is lost, and at most those on their way are sent twice."""
    url, most_twice = context.database(), 4
    with mail_server() as server:
        service = context.serve(url, **_mail_settings(server.port))
        with Caller(service.url) as caller:
            register(caller, EMAIL)
        _fill_outbox(url, 500)
        seconds_until(lambda: _unsent(url) < 450)
        os.kill(service.pid, signal.SIGKILL)
        left = _unsent(url)
        # In place of the two minutes after which the leases end.
        _run(url, "UPDATE outbox SET leased_until = now() WHERE leased_until IS NOT NULL")
        context.serve(url, **_mail_settings(server.port))
        waited = seconds_until(lambda: _unsent(url) == 0, timeout=60)
        taken = server.stop_and_count()
    twice = sum(number - 1 for number in taken.values())
    return Outcome(
        len(taken) == 500 and twice <= most_twice and waited < 60 and left > 0,
        f"killed with {left} of 500 mails unsent; {len(taken)} arrived, {twice} of them twice",
    )


@scenario("F18", "8 requests at once to set a password by one link, 10 rounds")
def resets_at_once(context: ScenarioContext) -> Outcome:
    """One of them sets it."""
    server, statuses = MailServer(), Counter[int]()
    with serve(server):
        service = context.serve(
            context.database(),
            **_mail_settings(server.port),
            mails_per_recipient=100,
            mails_per_recipient_per_day=100,
        )
        with Caller(service.url) as caller, ThreadPoolExecutor(8) as threads:
            register(caller, EMAIL)
            for number in range(10):
                server.received.clear()
                caller.call("POST", "/password/forgot", json_body={"email": EMAIL})
                seconds_until(lambda: bool(_links(server)))
                (link,) = _links(server)
                answers = threads.map(lambda n, link=link: _reset(service.url, link, n), range(8))
                found = Counter(answer.status for answer in answers)
                statuses.update(found)
                if found != {204: 1, 400: 7}:
                    return Outcome(held=False, figures=f"round {number}: {dict(found)}")
    return Outcome(held=True, figures=f"{dict(sorted(statuses.items()))}")


def _links(server: MailServer) -> set[str]:
    """The tokens in all mails."""
    mails = [
        email.message_from_bytes(content, policy=email.policy.default)
        for _, content in server.received
    ]
    texts: list[Any] = [mail.get_body(("plain",)) for mail in mails]
    return {found for text in texts for found in re.findall(r"cfm_[\w-]+", text.get_content())}


def _reset(url: str, link: str, number: int) -> Answer:
    body = {"token": link, "new_password": f"an entirely new passphrase {number}"}
    with Caller(url) as caller:
        return caller.call("POST", "/password/reset", json_body=body)


def _fill_outbox(url: str, mails: int) -> None:
    _run(
        url,
        "INSERT INTO outbox (kind, user_id, address, locale)"
        " SELECT 'password_changed', users.id, 'a' || number || '@example.org', 'en'"
        f" FROM users, generate_series(1, {mails}) AS number",
    )


def _mail_settings(port: int) -> dict[str, Any]:
    return {
        "mail_url": f"smtp+plain://127.0.0.1:{port}",
        "mail_from": SENDER,
        "mail_notices": "password_changed",
    }


class _ElsewhereServer:
    """A mail server in another process, which takes no time of the service's."""

    def __init__(self, port: int, stop: Event, results: "Queue[Counter[str]]") -> None:
        self.port = port
        self._stop = stop
        self._results = results

    def stop_and_count(self) -> Counter[str]:
        """How often each recipient got a mail."""
        self._stop.set()
        return self._results.get(timeout=60)


@contextmanager
def mail_server() -> Iterator[_ElsewhereServer]:
    context = multiprocessing.get_context("spawn")
    stop, results, ports = context.Event(), context.Queue(), context.Queue()
    process = context.Process(target=_serve, args=(stop, results, ports))
    process.start()
    try:
        yield _ElsewhereServer(ports.get(timeout=60), stop, results)
    finally:
        stop.set()
        process.join(60)


def _serve(stop: Event, results: "Queue[Counter[str]]", ports: "Queue[int]") -> None:
    with serve(MailServer()) as server:
        ports.put(server.port)
        stop.wait()
    results.put(Counter(server.recipients))


def _unsent(url: str) -> int:
    ((number,),) = _run(url, "SELECT count(*) FROM outbox WHERE sent_at IS NULL")
    return int(number)


def _run(url: str, statement: str) -> list[tuple[int, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
