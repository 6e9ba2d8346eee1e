"""Prunes at an interval while the service runs, in a background thread."""

import logging
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from sqlalchemy.orm import Session

from authentication.instrumentation import Instrumentation, NullInstrumentation
from authentication.pruning import expiring_keys, prune
from authentication.pruning.prune import PrunedElsewhere, Retention
from authentication.settings import AuthenticationSettings
from counterfoil.errors import DatabaseUnavailable
from database.engine import deadlines
from database.engine.session import Database

log = logging.getLogger("counterfoil.pruning")

_MAX_FIRST_WAIT_SECONDS = 60.0
_MIN_PAUSE_SECONDS = 0.01
_MIN_BATCH_ROWS = 10
# Steps of the scan for unusable sessions in one round. The next round continues after them.
_SCAN_STEPS_PER_ROUND = 50


class PruningWorker:
    """A background thread that prunes once per interval.

    Every worker process has one. A lock in the database lets one of them prune at a time; the
    others skip that round.
    """

    def __init__(
        self,
        settings: AuthenticationSettings,
        database: Database,
        instrumentation: Instrumentation = NullInstrumentation(),
    ) -> None:
        self._interval = settings.prune_interval_seconds
        self._retention = Retention(settings.prune_keep_days, settings.audit_keep_days)
        self._notice_days = settings.api_key_notice_days
        self._database = database
        self._instrumentation = instrumentation
        self._batch_rows = prune.BATCH_ROWS
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pruning", daemon=True)

    def start(self) -> None:
        """Start the thread, unless the interval is 0."""
        if self._interval:
            self._thread.start()

    def stop(self) -> None:
        """Wait until the current batch is done, which takes at most the database's deadline."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_round(self) -> None:
        """Prune once, unless another process is pruning. Errors are logged and not raised.

        Then tell owners of API keys that are about to expire.
        """
        try:
            for rows in self._batches():
                self._count(rows)
            self._tell_of_expiring_keys()
        except PrunedElsewhere:
            log.debug("another process is pruning")
        except DatabaseUnavailable as error:
            # A batch may have exceeded the deadline, which a smaller one will meet.
            self._batch_rows = max(_MIN_BATCH_ROWS, self._batch_rows // 2)
            log.warning("pruning was interrupted: %s", error)
        except Exception:
            # The thread must survive, so that the next round can succeed.
            log.exception("pruning failed")

    def _run(self) -> None:
        # A random wait spreads the first rounds of workers that start together.
        wait = random.uniform(0, min(self._interval, _MAX_FIRST_WAIT_SECONDS))  # noqa: S311
        while not self._stopping.wait(wait):
            self.run_round()
            wait = self._interval

    def _batches(self) -> Iterator[Mapping[str, int]]:
        began = time.monotonic()
        for rows in self._prune():
            yield rows
            # Pausing for as long as the batch took leaves half of the time to requests.
            pause = max(_MIN_PAUSE_SECONDS, time.monotonic() - began)
            if self._stopping.wait(pause):
                return
            began = time.monotonic()

    def _tell_of_expiring_keys(self) -> None:
        more = bool(self._notice_days)
        while more and not self._stopping.is_set():
            with self._transaction() as db:
                more = bool(expiring_keys.record_some(db, days=self._notice_days))

    def _prune(self) -> Iterator[Mapping[str, int]]:
        yield from prune.prune_ended(
            self._transaction, self._retention, batch_rows=self._batch_rows
        )
        scan = prune.prune_unusable_sessions(
            self._transaction, self._retention, batch_rows=self._batch_rows
        )
        yield from islice(scan, _SCAN_STEPS_PER_ROUND)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        seconds = self._database.settings.database_deadline_seconds
        with deadlines.deadline(seconds), self._database.transaction() as db:
            yield db

    def _count(self, rows: Mapping[str, int]) -> None:
        deleted = {table: number for table, number in rows.items() if number}
        for table, number in deleted.items():
            self._instrumentation.rows_pruned(table, number)
        if deleted:
            log.info("pruned %s", deleted)
