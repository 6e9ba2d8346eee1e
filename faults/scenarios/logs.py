"""A log that nobody reads, or that is read slowly, while tokens are checked."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.calls import Caller
from faults.context import ScenarioContext, sign_up
from faults.registry import Outcome, scenario

_SECONDS = 6.0
# A long path makes long lines: the pipe and what may wait are full after a moment.
_PATH = "/" + "x" * 1900
_CALLERS = 4


@scenario("F27", f"nobody reads the log for {_SECONDS:.0f} s, and then slowly")
def log_not_read(context: ScenarioContext) -> Outcome:
    pipe = context.folder() / "log"
    os.mkfifo(pipe)
    reader = _Reader(pipe)
    with reader.running():
        service = context.serve(context.database(), log=pipe, log_format="json")
        token = sign_up(service).access_token
        reader.stop_reading()
        answers = _use(service.url, token, seconds=_SECONDS)
        reader.read_on()
        answers += _use(service.url, token, seconds=_SECONDS / 2)
        service.stop()
    statuses = Counter(status for status, _ in answers)
    slowest = max(seconds for _, seconds in answers)
    lines = [line for line in reader.lines() if line["logger"] == "counterfoil.access"]
    dropped = sum(_dropped(line) for line in reader.lines())
    # The probes of the harness and the sign-up are requests, too.
    missing = len(answers) - sum(line["path"] != "/health/live" for line in lines) - dropped
    held = set(statuses) == {200, 404} and slowest < 1 and dropped > 0 and missing <= 0
    return Outcome(
        held,
        f"{dict(statuses)}, slowest {slowest:.2f} s; {len(lines)} lines written, {dropped} dropped"
        f" and reported, {max(0, missing)} missing",
    )


class _Reader:
    """Reads a named pipe in a thread, which can be told to pause."""

    def __init__(self, pipe: Path) -> None:
        # Without blocking, as nobody has opened it for writing yet.
        self._descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self._reads = threading.Event()
        self._reads.set()
        self._is_over = threading.Event()
        self._read = bytearray()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._reads.set()
            self._is_over.set()
            thread.join()
            os.close(self._descriptor)

    def stop_reading(self) -> None:
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    def lines(self) -> list[dict[str, str]]:
        """Those in JSON. What `serve` tells a person is text."""
        text = self._read.decode()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def _run(self) -> None:
        while not (self._is_over.is_set() and not self._read_some()):
            self._reads.wait()
            self._read_some()
            time.sleep(0.005)

    def _read_some(self) -> bool:
        try:
            some = os.read(self._descriptor, 65_536)
        except BlockingIOError:
            return False
        self._read += some
        return bool(some)


def _use(url: str, token: str, *, seconds: float) -> list[tuple[int, float]]:
    """Status and seconds of each answer to several callers."""
    answers: list[tuple[int, float]] = []

    def call() -> None:
        end = time.monotonic() + seconds
        with Caller(url) as caller:
            while time.monotonic() < end:
                both = caller.use(token), caller.call("GET", _PATH)
                answers.extend((answer.status, answer.seconds) for answer in both)

    threads = [threading.Thread(target=call) for _ in range(_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _dropped(line: dict[str, str]) -> int:
    return int(line["message"].split()[0]) if line["logger"] == "counterfoil.output" else 0
