"""Writes log lines to standard output from a thread, many lines by one system call.

A write takes as long as the reader of a pipe, or the disk, makes it. So the event loop only adds
lines to a list, and a thread writes them in the same order. If too many wait, further ones are
dropped and counted, but no request waits. A process that is killed loses the lines of the last
moment.
"""

import logging
import os
import select
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

log = logging.getLogger("counterfoil.output")

# Long enough to gather many lines, and short enough that nobody who reads the log notices.
_GATHER_SECONDS = 0.05
_MOST_WAITING_CHARACTERS = 8 * 1024 * 1024
# How long a stop waits for a reader that does not read.
_STOP_SECONDS = 5.0


class Output:
    """A stream for `logging.StreamHandler`. Writes at once, except within `gathering`."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        # Reentrant, because a signal handler may log while its thread holds the lock.
        self._lock = threading.RLock()
        self._lines: list[str] = []
        self._waiting_characters = 0
        self._dropped_now = 0
        self._has_lines = threading.Event()
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """How many lines have been dropped since the process started."""

    def write(self, line: str) -> None:
        """Write a line, which includes its line end, or add it to those that the thread writes."""
        if self._thread is None:
            self._write_now(line)
            return
        with self._lock:
            if self._waiting_characters + len(line) > _MOST_WAITING_CHARACTERS:
                self.dropped += 1
                self._dropped_now += 1
                return
            self._waiting_characters += len(line)
            self._lines.append(line)
            is_first = len(self._lines) == 1
        if is_first:
            self._has_lines.set()

    def flush(self) -> None:
        """Called by `logging` after each line."""

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Write from a thread until the end of the block, which waits until all is written."""
        self._is_stopping.clear()
        self._thread = threading.Thread(target=self._run, name="log-output", daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            self._stop(self._thread)

    def _stop(self, thread: threading.Thread) -> None:
        self._is_stopping.set()
        self._has_lines.set()
        thread.join(_STOP_SECONDS)
        # As long as nobody reads, the last lines are gathered too: writing them would never end.
        if not thread.is_alive():
            self._thread = None
            # Lines of other threads that came after its last look.
            self._write_all(self._take())

    def _run(self) -> None:
        while not (self._is_stopping.is_set() and not self._lines):
            self._has_lines.wait()
            self._is_stopping.wait(_GATHER_SECONDS)
            self._write_all(self._take())
            self._report_dropped()

    def _take(self) -> Sequence[str]:
        with self._lock:
            lines, self._lines = self._lines, []
            self._has_lines.clear()
        return lines

    def _write_all(self, lines: Sequence[str]) -> None:
        text = "".join(lines)
        # A reader that is gone, or a full disk: the service goes on without a log.
        with suppress(OSError, ValueError):
            self._write_bytes(text.encode(errors="backslashreplace"))
        with self._lock:
            self._waiting_characters -= len(text)

    def _write_bytes(self, data: bytes) -> None:
        descriptor, rest = self._target().fileno(), memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                select.select([], [descriptor], [])

    def _report_dropped(self) -> None:
        with self._lock:
            dropped, self._dropped_now = self._dropped_now, 0
        if dropped:
            log.warning("%d log lines were dropped, as standard output was not read", dropped)

    def _write_now(self, line: str) -> None:
        target = self._target()
        target.write(line)
        target.flush()

    def _target(self) -> TextIO:
        return self._stream or sys.stdout


stdout = Output()
"""What `serve` logs to."""
