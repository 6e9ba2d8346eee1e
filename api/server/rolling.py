"""Replaces the workers of a service one after another, so that it serves all the time."""

import logging
from collections.abc import Callable

from uvicorn.supervisors.multiprocess import Process

log = logging.getLogger("counterfoil.server")


class Roll:
    """Each worker is told to stop once its successor serves. Nothing here waits for either."""

    def __init__(self, start_worker: Callable[[], Process]) -> None:
        self._start_worker = start_worker
        self._due: list[Process] = []
        self._successor: Process | None = None
        self._leaving: list[Process] = []

    def begin(self, workers: list[Process]) -> None:
        """Have these workers replaced, after the one whose successor is about to start."""
        log.info("replacing %d workers one after another", len(workers))
        self._due = list(workers)

    def step(self, workers: list[Process]) -> None:
        """Go on, and put a successor in the place of its predecessor in the list."""
        self._leaving = [one for one in self._leaving if one.process.is_alive()]
        # One that has ended by itself has been replaced by then.
        self._due = [one for one in self._due if one in workers]
        if self._successor is None:
            if self._due:
                self._successor = self._start_worker()
        elif not self._due or not self._successor.process.is_alive():
            self.cancel()
        elif self._successor.is_ready(timeout=1):
            predecessor = self._due.pop(0)
            workers[workers.index(predecessor)] = self._successor
            self._successor = None
            predecessor.terminate()
            self._leaving.append(predecessor)

    def cancel(self) -> None:
        """Replace no more workers. Those that have not been replaced stay."""
        if self._successor is not None:
            if self._due:
                log.error("a new worker does not start; the others stay as they are")
            self._successor.kill()
            self._leaving.append(self._successor)
        self._due, self._successor = [], None

    def join(self) -> None:
        """Wait until workers that have been told to stop have ended."""
        for worker in self._leaving:
            worker.join()
