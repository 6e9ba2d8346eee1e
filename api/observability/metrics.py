"""Metrics for Prometheus.

Several workers write their numbers to files in a shared directory, and the one that is asked adds
them up. `serve` makes that directory and names it in the environment.
"""

import asyncio
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Scope

from api.observability.output import stdout
from api.routing.route_group import flatten
from api.settings import SharedMetrics
from authentication.audit import Event, Reason
from authentication.instrumentation import Instrumentation
from authentication.service import Service
from counterfoil import __version__
from counterfoil.lookup.marks import Outcome

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

_SAMPLE_SECONDS = 1.0
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_LOOKUP_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 3)
_HASHING_BUCKETS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)
_LAG_BUCKETS = (0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)

# Clients can send any method and any path, and must not be able to create time series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMATCHED = "unmatched"
_REASONS = frozenset(Reason)

# They hold the time of creation of each counter, and would double the number of series.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics(Instrumentation):
    """The metrics of one application. `watch` samples those that no event reports."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._exposed = _add_up_workers() or self._registry
        self._request_children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._batch_children: dict[tuple[str, str], Any] = {}
        self._mount_paths: dict[Any, str] = {}
        self._define_requests()
        self._define_lookups()
        self._define_standbys()
        self._define_authentication()
        self._define_hashing()
        self._define_background()
        self._define_samples()
        self._seen = {
            self._log_lines_dropped: stdout.dropped,
            self._commits_abandoned: 0,
            self._commits_unconfirmed: 0,
        }

    def render(self, service: Service) -> bytes:
        """All numbers of all workers, in the text format that Prometheus reads."""
        self._sample(service)
        return generate_latest(self._exposed)

    async def watch(self, service: Service) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._sample(service)
            due = loop.time() + _SAMPLE_SECONDS
            await asyncio.sleep(_SAMPLE_SECONDS)
            self._loop_lag.set(max(0.0, loop.time() - due))

    def on_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that is over."""
        key = (self._template(scope), scope["method"], status)
        children = self._request_children.get(key) or self._add_request_children(*key)
        children[0]()
        children[1](seconds)

    def lookup_finished(self, *, tokens: int, seconds: float, failed: bool) -> None:
        if failed:
            self._lookups_failed()
        else:
            self._lookup_tokens(tokens)
            self._lookup_seconds(seconds)

    def batch_finished(self, *, server: str, outcome: Outcome) -> None:
        count = self._batch_children.get((server, outcome))
        if count is None:
            count = self._batches.labels(server, outcome).inc
            self._batch_children[server, outcome] = count
        count()

    def mark_finished(self, *, seconds: float, reign: int) -> None:
        self._marks.observe(seconds)
        self._reign.set(reign)

    def hashing_queued(self) -> None:
        self._hashing_waiting.inc()

    def hashing_started(self, *, waited: float) -> None:
        self._hashing_waiting.dec()
        self._hashing_wait.observe(waited)

    def hashing_finished(self, *, seconds: float) -> None:
        self._hashing.observe(seconds)

    def hashing_abandoned(self) -> None:
        self._hashing_waiting.dec()

    def hashing_rejected(self) -> None:
        self._hashing_refused.inc()

    def event_committed(self, event: Event, detail: Mapping[str, Any]) -> None:
        self._events.labels(event).inc()
        match event:
            case Event.LOGIN_SUCCEEDED:
                self._logins.labels("succeeded").inc()
            case Event.LOGIN_FAILED:
                self._logins.labels(_known_reason(detail.get("reason"))).inc()
            case Event.TOKEN_REFRESHED | Event.REFRESH_REPEATED:
                self._refreshes.labels("succeeded").inc()
            case Event.REFRESH_FAILED:
                reason = _known_reason(detail.get("reason"))
                self._refreshes.labels(reason).inc(detail.get("count", 1))
            case Event.REFRESH_REUSED:
                self._refreshes.labels("reused").inc()
                self._revoked.labels(Reason.REFRESH_TOKEN_REUSE).inc()
            case Event.SESSION_REVOKED | Event.SESSIONS_REVOKED:
                reason = _known_reason(detail.get("reason"))
                self._revoked.labels(reason).inc(detail.get("count", 1))

    def last_used_written(self, *, credentials: int, lag: float) -> None:
        self._uses.labels("written").inc(credentials)
        self._lag.observe(lag)

    def last_used_dropped(self, *, credentials: int) -> None:
        self._uses.labels("dropped").inc(credentials)

    def mail_finished(self, kind: str, outcome: str) -> None:
        self._mails.labels(kind, outcome).inc()

    def mails_waiting(self, number: int) -> None:
        self._mails_waiting.set(number)

    def rows_pruned(self, table: str, rows: int) -> None:
        self._pruned.labels(table).inc(rows)

    def _template(self, scope: Scope) -> str:
        """The route's path as declared. With ids in it, each would be a time series of its own."""
        route = scope.get("route")
        if route is not None:
            return str(route.path_format)
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return _UNMATCHED
        if endpoint not in self._mount_paths:
            self._mount_paths[endpoint] = _mount_path(scope["app"], endpoint)
        return self._mount_paths[endpoint]

    def _add_request_children(self, route: str, method: str, status: int) -> tuple[Any, Any]:
        """Look the labels up once, so that a request costs two additions."""
        known = method if method in _METHODS else "other"
        count = self._requests.labels(known, route, status).inc
        observe = self._request_seconds.labels(known, route).observe
        if method == known:
            self._request_children[route, method, status] = count, observe
        return count, observe

    def _sample(self, service: Service) -> None:
        self._workers.set(1)
        self._pool_in_use.set(service.database.connections_in_use())
        self._pool_size.set(service.database.settings.database_pool_size)
        self._pool_waiting.set(service.database.waiting())
        self._lookups_waiting.set(service.resolver.waiting())
        self._uses_waiting.set(service.last_used.waiting())
        self._standbys.set(len(service.database.settings.lookup_database_urls))
        self._usable_standbys.set(service.usable_standbys)
        self._fenced_workers.set(service.is_fenced)
        self._count_to(self._log_lines_dropped, stdout.dropped)
        self._count_to(self._commits_abandoned, service.database.commits_abandoned)
        self._count_to(self._commits_unconfirmed, service.database.commits_unconfirmed)

    def _count_to(self, counter: Counter, number: int) -> None:
        """Raise a counter to what has been counted elsewhere."""
        counter.inc(number - self._seen[counter])
        self._seen[counter] = number

    def _define_requests(self) -> None:
        self._requests = self._counter("requests", "Answers sent.", "method", "route", "status")
        self._request_seconds = self._histogram(
            "request_seconds", "From request to answer.", _REQUEST_BUCKETS, "method", "route"
        )

    def _define_lookups(self) -> None:
        tokens = self._histogram("lookup_tokens", "Tokens that shared a query.", _BATCH_BUCKETS)
        seconds = self._histogram("lookup_seconds", "One such query.", _LOOKUP_BUCKETS)
        failed = self._counter("lookups_failed", "Queries for tokens without an answer.")
        self._lookup_tokens = tokens.observe
        self._lookup_seconds = seconds.observe
        self._lookups_failed = failed.inc

    def _define_standbys(self) -> None:
        self._batches = self._counter(
            "lookup_batches", "Queries for tokens, where there are standbys.", "server", "outcome"
        )
        self._marks = self._histogram(
            "mark_seconds", "One question for a mark to the primary.", _LOOKUP_BUCKETS
        )
        self._reign = self._gauge("reign", "Counts the promotions.", "livemax")
        self._standbys = self._gauge("standbys", "Standbys to ask for tokens.", "livemax")
        self._usable_standbys = self._gauge(
            "usable_standbys", "Standbys that the worst worker asks.", "livemin"
        )
        self._fenced_workers = self._gauge(
            "fenced_workers", "Workers that accept no token, as the primary may be a former one."
        )
        self._commits_abandoned = self._counter(
            "commits_abandoned", "Commits that were not answered within the deadline."
        )
        self._commits_unconfirmed = self._counter(
            "commits_unconfirmed", "Commits whose wait for a standby was cancelled."
        )

    def _define_authentication(self) -> None:
        self._logins = self._counter("logins", "By outcome.", "outcome")
        self._refreshes = self._counter("refreshes", "By outcome.", "outcome")
        self._revoked = self._counter("sessions_revoked", "Sessions revoked.", "reason")
        self._events = self._counter("audit_events", "Events recorded.", "event")

    def _define_hashing(self) -> None:
        self._hashing = self._histogram("hashing_seconds", "One password.", _HASHING_BUCKETS)
        self._hashing_wait = self._histogram(
            "hashing_wait_seconds", "A password's time in the queue.", _HASHING_BUCKETS
        )
        self._hashing_waiting = self._gauge("hashing_waiting", "Passwords in the queue.")
        self._hashing_refused = self._counter(
            "hashing_refused", "Rejected for a full or slow queue."
        )

    def _define_background(self) -> None:
        self._pruned = self._counter("pruned_rows", "Rows removed by pruning.", "table")
        self._mails = self._counter("mails", "Mails by what became of them.", "kind", "outcome")
        self._mails_waiting = self._gauge(
            "mails_waiting", "Mails in the outbox that are not sent.", "livemax"
        )
        self._uses = self._counter("uses_noted", "Uses of credentials noted.", "outcome")
        self._lag = self._histogram(
            "uses_lag_seconds", "From a use until it is written.", _LAG_BUCKETS
        )

    def _define_samples(self) -> None:
        self._pool_in_use = self._gauge("pool_connections_in_use", "Connections given out.")
        self._pool_size = self._gauge("pool_connections", "Connections for requests.")
        self._pool_waiting = self._gauge("pool_waiting", "Transactions that wait for one.")
        self._lookups_waiting = self._gauge("lookups_waiting", "Tokens that wait for a query.")
        self._uses_waiting = self._gauge("uses_waiting", "Uses not yet written.")
        self._loop_lag = self._gauge(
            "event_loop_lag_seconds", "How late the event loop of the worst worker is.", "livemax"
        )
        self._workers = self._gauge("workers", "Processes that serve.")
        versions = {"version": __version__, "python": platform.python_version()}
        self._gauge(
            "build_info", "Always 1. Its labels are versions.", "livemax", *versions
        ).labels(**versions).set(1)
        self._log_lines_dropped = self._counter(
            "log_lines_dropped", "Log lines lost as standard output was not read."
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"counterfoil_{name}", text, labels, registry=self._registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        name = f"counterfoil_{name}"
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)

    def _gauge(
        self,
        name: str,
        text: str,
        mode: Literal["livesum", "livemax", "livemin"] = "livesum",
        *labels: str,
    ) -> Gauge:
        name = f"counterfoil_{name}"
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode=mode)


def _mount_path(app: Starlette, endpoint: Any) -> str:
    """For a mount, which puts only what it calls into the scope."""
    for route in flatten(app.routes):
        if isinstance(route, Mount) and route.app is endpoint:
            return route.path
    return _UNMATCHED


def _known_reason(reason: object) -> str:
    """A reason as a label. All that were typed in share one, since labels are kept for ever."""
    return reason if isinstance(reason, str) and reason in _REASONS else "other"


def _add_up_workers() -> CollectorRegistry | None:
    """Returns None if there is a single worker."""
    directory = SharedMetrics().prometheus_multiproc_dir
    if directory is None:
        return None
    registry = CollectorRegistry()
    registry.register(_Workers(directory))
    return registry


class _Workers(Collector):
    """Adds up the files of all workers. The library's own collector fails while one starts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        self._remove_dead_workers()
        begun = [str(file) for file in self._directory.glob("*.db") if _has_begun(file)]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(begun)  # type: ignore[no-untyped-call]
        return metrics

    def _remove_dead_workers(self) -> None:
        """The gauges of a killed worker would otherwise be counted for ever."""
        for file in self._directory.glob("gauge_live*_*.db"):
            if not _is_running(int(file.stem.rpartition("_")[2])):
                file.unlink(missing_ok=True)


def _has_begun(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        # Another worker that is asked at the same time has removed it.
        return False


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
