"""Prunes by itself while the service runs, now and then and at an easy pace."""

import logging
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from sqlalchemy.orm import Session

from authentication.instrumentation import NOBODY, Observer
from authentication.pruning import prune
from authentication.pruning.prune import BEGINNING, Busy, Retention
from authentication.settings import AuthenticationSettings
from counterfoil.errors import DatabaseUnavailable
from database.engine import deadlines
from database.engine.session import Database

log = logging.getLogger("counterfoil.housekeeping")

_LONGEST_FIRST_WAIT_SECONDS = 60.0
_SHORTEST_PAUSE_SECONDS = 0.01
_SMALLEST_BATCH = 10
# Steps of the walk through the sessions in one round; the next one goes on from there.
_STEPS_A_ROUND = 50


class Housekeeper:
    """A thread of its own, with a connection beside those of the requests.

    Every worker has one. The database lets one of them at a time have its turn; the others leave
    that round to it.
    """

    def __init__(
        self, settings: AuthenticationSettings, database: Database, observer: Observer = NOBODY
    ) -> None:
        self._interval = settings.prune_interval_seconds
        self._retention = Retention(settings.prune_keep_days, settings.audit_keep_days)
        self._database = database
        self._observer = observer
        self._batch = prune.BATCH
        self._position = BEGINNING
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, unless the settings leave it to the command."""
        if self._interval:
            self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand, which ends within the deadline, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_round(self) -> None:
        """Do what there is to do, unless another process is doing it."""
        try:
            for rows in self._batches():
                self._count(rows)
        except Busy:
            log.debug("another process is pruning")
        except DatabaseUnavailable as error:
            # Perhaps a batch takes longer than the deadline here; smaller ones will get through.
            self._batch = max(_SMALLEST_BATCH, self._batch // 2)
            log.warning("pruning was cut short: %s", error)
        except Exception:
            # The next round may fare better, and requests are served all the same.
            log.exception("pruning failed")

    def _run(self) -> None:
        # Workers that start together need not knock together.
        wait = random.uniform(0, min(self._interval, _LONGEST_FIRST_WAIT_SECONDS))  # noqa: S311
        while not self._stopping.wait(wait):
            self.run_round()
            wait = self._interval

    def _batches(self) -> Iterator[Mapping[str, int]]:
        began = time.monotonic()
        for rows in self._work():
            yield rows
            # As long again as the batch took, so that others come first.
            pause = max(_SHORTEST_PAUSE_SECONDS, time.monotonic() - began)
            if self._stopping.wait(pause):
                return
            began = time.monotonic()

    def _work(self) -> Iterator[Mapping[str, int]]:
        yield from prune.prune(self._transaction, self._retention, batch=self._batch)
        steps = prune.sweep(
            self._transaction, self._retention, position=self._position, batch=self._batch
        )
        for step in islice(steps, _STEPS_A_ROUND):
            self._position = step.position
            yield step.rows

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        seconds = self._database.settings.database_deadline_seconds
        with deadlines.deadline(seconds), self._database.transaction() as db:
            yield db

    def _count(self, rows: Mapping[str, int]) -> None:
        removed = {table: number for table, number in rows.items() if number}
        for table, number in removed.items():
            self._observer.pruned(table, number)
        if removed:
            log.info("pruned %s", removed)
