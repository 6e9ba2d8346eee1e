"""Who a test acts as: identities that stand in for the check of a token.

Empty in every process in which `counterfoil.testing` has put none there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from counterfoil.identity import Identity


@dataclass(eq=False, slots=True)
class Entry:
    """An identity for some applications, until its block ends.

    `applications` are web applications and middleware, by their `id`. `outer`
    is the entry of the block around it, in the same context.
    """

    identity: Identity
    applications: dict[int, object]
    outer: "Entry | None"
    is_over: bool = False

    def is_for(self, application: object) -> bool:
        return not self.is_over and id(application) in self.applications


# All that are not over, by the time of their beginning.
entries: list[Entry] = []
_innermost: ContextVar[Entry | None] = ContextVar("acting", default=None)


def find(application: Any) -> Identity | None:
    """The identity that a test acts as in this application, if any.

    That of the context comes first, so that tasks and threads that act at the same time do not
    notice each other. A fixture may have begun in another context than the test that uses it: then
    it is what began last.
    """
    entry = _innermost.get()
    while entry is not None and not entry.is_for(application):
        entry = entry.outer
    if entry is None:
        entry = next((one for one in reversed(entries) if one.is_for(application)), None)
    return None if entry is None else entry.identity


@contextmanager
def entered(identity: Identity, applications: Sequence[object]) -> Iterator[None]:
    """Let `find` return this identity until the block ends."""
    entry = Entry(identity, {id(one): one for one in applications}, _innermost.get())
    entries.append(entry)
    _innermost.set(entry)
    try:
        yield
    finally:
        # Contexts that were copied within the block still have the entry.
        entry.is_over = True
        entries.remove(entry)
        # A fixture may end in another context than the one that it began in.
        if _innermost.get() is entry:
            _innermost.set(entry.outer)
