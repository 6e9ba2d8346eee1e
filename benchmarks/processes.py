"""Measures the processor time and memory of a process and its children."""

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """In megabytes. The PSS divides shared pages among the processes that share them."""

    rss: float
    pss: float


def process_tree(pid: int) -> list[psutil.Process]:
    """The process and all its running descendants."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """Processor time of the process, its threads and its children, including ended ones.

    A parent's times include its children that have ended and been waited for, so PostgreSQL's
    short-lived backends are counted exactly once.
    """
    return sum(sum(times) for times in _times_of(process_tree(pid)))


def _times_of(members: list[psutil.Process]) -> Iterator[tuple[float, ...]]:
    for member in members:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        yield (times.user, times.system, times.children_user, times.children_system)


def memory(pid: int) -> Memory:
    infos = [member.memory_full_info() for member in process_tree(pid)]
    rss, pss = (sum(getattr(info, name) for info in infos) for name in ("rss", "pss"))
    return Memory(rss / MEGABYTE, pss / MEGABYTE)
