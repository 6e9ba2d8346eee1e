"""The drain: the time between SIGTERM and the stop, in which a load balancer can notice.

`/health/ready` answers 503 from the beginning, and everything else is served as before. A second
signal ends the drain, and SIGINT, which Ctrl+C sends, stops the service without one. SIGHUP
replaces the workers, which start anew with the code and the files of that moment.
"""

import asyncio
import logging
import math
import os
import signal
import time
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from api.server.rolling import Roll

log = logging.getLogger("counterfoil.server")

# The supervisor sends this to its workers when the drain begins.
_BEGIN_SIGNAL = signal.SIGUSR1


class Drain:
    """A period of so many seconds that begins at most once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = math.inf

    def begin(self) -> bool:
        """Returns False if it lasts for no time, or has begun before."""
        if self.has_begun or not self._seconds:
            return False
        self._end = time.monotonic() + self._seconds
        log.info("draining: not ready, stopping in %g seconds", self._seconds)
        return True

    @property
    def has_begun(self) -> bool:
        return self._end < math.inf

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end


class Server(uvicorn.Server):
    """Serves in one process, and drains before it stops."""

    def __init__(self, config: uvicorn.Config, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain = Drain(drain_seconds)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by Python for SIGTERM and SIGINT."""
        if sig == signal.SIGTERM and self.started:
            # A signal handler must not log: it may have interrupted the writing of a log line.
            asyncio.get_running_loop().call_soon_threadsafe(self._drain_or_exit, sig)
        else:
            super().handle_exit(sig, frame)

    def _drain_or_exit(self, sig: int) -> None:
        if not self.should_exit and self._drain.begin():
            self.config.loaded_app.state.is_draining = True
        else:
            super().handle_exit(sig, None)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second. Returns whether to stop."""
        if self._drain.is_over:
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)


class Supervisor(Multiprocess):
    """Serves with several workers, and has all of them drain before it stops them."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket], drain_seconds: float) -> None:
        super().__init__(config, sockets)
        self._drain = Drain(drain_seconds)
        self._roll = Roll(self._start_worker)

    def _start_worker(self) -> Process:
        worker = Process(self.config, self.sockets)
        worker.start()
        return worker

    def handle_hup(self) -> None:
        """Called by uvicorn for each SIGHUP."""
        if not self._drain.has_begun:
            self._roll.begin(self.processes)

    def handle_term(self) -> None:
        """Called by uvicorn for each SIGTERM."""
        self._roll.cancel()
        if not self._drain.begin():
            super().handle_term()
            return
        for worker in self.processes:
            if worker.process.is_alive() and worker.pid:
                os.kill(worker.pid, _BEGIN_SIGNAL)

    def keep_subprocess_alive(self) -> None:
        """Called by uvicorn twice a second."""
        if not self._drain.has_begun:
            super().keep_subprocess_alive()
            self._roll.step(self.processes)
        elif self._drain.is_over or not any(one.process.is_alive() for one in self.processes):
            self.should_exit.set()

    def terminate_all(self) -> None:
        """Called by uvicorn once, when the drain is over."""
        self._roll.cancel()
        super().terminate_all()
        for listening in self.sockets:
            # New clients are refused at once, and do not wait in the queue of this socket.
            listening.close()

    def join_all(self) -> None:
        """Called by uvicorn after that."""
        super().join_all()
        self._roll.join()


def ignore_hangup() -> None:
    """Have SIGHUP replace nothing, unless it is a terminal's: it would end the only worker."""

    def explain(sig: int, frame: FrameType | None) -> None:
        asyncio.get_running_loop().call_soon_threadsafe(
            log.warning, "SIGHUP replaces workers where there are at least two: nothing was done"
        )

    if not os.isatty(0):
        signal.signal(signal.SIGHUP, explain)


def obey_supervisor(app: FastAPI) -> None:
    """Have a worker report that it is not ready when the supervisor begins to drain."""

    def begin(sig: int, frame: FrameType | None) -> None:
        app.state.is_draining = True

    signal.signal(_BEGIN_SIGNAL, begin)
