"""gunicorn's settings for the Knox peer: one worker with threads, no log."""

from typing import Any

from benchmarks.peers.garbage import tune

workers = 1
worker_class = "gthread"
# More threads than this only fight over the interpreter lock; each has its own database connection.
threads = 16
keepalive = 60
loglevel = "warning"
accesslog = None


def post_worker_init(_: Any) -> None:
    tune()
