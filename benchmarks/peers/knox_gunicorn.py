"""gunicorn's settings for the Knox peer: one worker with threads and no log."""

from typing import Any

from benchmarks.peers.gc_settings import tune

workers = 1
worker_class = "gthread"
# More threads would only contend for the interpreter lock. Each has its own database connection.
threads = 16
keepalive = 60
loglevel = "warning"
accesslog = None


def post_worker_init(_: Any) -> None:
    tune()
