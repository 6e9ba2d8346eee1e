"""Tells what a process and its children have used: processor time and memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """In megabytes. A page that several processes share is divided among them in the PSS."""

    rss: float
    pss: float


def family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants that live."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """Processor time of the process, its threads and its children, those that have ended included.

    A child that has ended is waited for by its parent, whose record of its children then holds it:
    PostgreSQL's backends that come and go are neither lost nor counted twice.
    """
    return sum(sum(times) for times in _times_of(family(pid)))


def _times_of(members: list[psutil.Process]) -> Iterator[tuple[float, ...]]:
    for member in members:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        yield (times.user, times.system, times.children_user, times.children_system)


def memory(pid: int) -> Memory:
    infos = [member.memory_full_info() for member in family(pid)]
    rss, pss = (sum(getattr(info, name) for info in infos) for name in ("rss", "pss"))
    return Memory(rss / MEGABYTE, pss / MEGABYTE)
