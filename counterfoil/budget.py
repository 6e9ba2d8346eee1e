"""How long one request may wait for the database in total.

The budget is in a context variable, so that the lookup of the request's token and its transactions
share it in every thread.
"""

import contextvars
from dataclasses import dataclass


@dataclass(slots=True)
class _Budget:
    """Copies of a context share this object, and so one budget."""

    seconds: float


_budget: contextvars.ContextVar[_Budget | None] = contextvars.ContextVar("budget", default=None)


def set_budget(seconds: float) -> None:
    """Let the request that begins here wait for the database for so many seconds in total."""
    _budget.set(_Budget(seconds))


def remaining(limit: float) -> float:
    """`limit` seconds, or what is left of the budget if that is less. Never below zero."""
    budget = _budget.get()
    return limit if budget is None else max(0.0, min(limit, budget.seconds))


def charge(seconds: float) -> None:
    """Take so many seconds from the budget. Outside of requests there is none."""
    if (budget := _budget.get()) is not None:
        budget.seconds -= seconds
