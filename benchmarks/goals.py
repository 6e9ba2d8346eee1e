"""The product's performance goals, and whether figures reach them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from benchmarks.figures import Figures

Verdict = Literal["goal", "must", "missed"]


@dataclass(frozen=True)
class Goal:
    """Limits for the named figure: a run that misses `must` fails, `goal` is the aim."""

    figure: str
    text: str
    must: float
    goal: float
    at_least: bool = True

    def verdict(self, value: float) -> Verdict:
        if self._reaches(value, self.goal):
            return "goal"
        return "must" if self._reaches(value, self.must) else "missed"

    def _reaches(self, value: float, limit: float) -> bool:
        # A figure that could not be measured is NaN and reaches no limit.
        return value >= limit if self.at_least else value <= limit


def at_least(figure: str, text: str, must: float, goal: float) -> Goal:
    return Goal(figure, text, must, goal)


def at_most(figure: str, text: str, must: float, goal: float) -> Goal:
    return Goal(figure, text, must, goal, at_least=False)


ME = "`GET /users/me`"
# The first bypasses FastAPI's work around an endpoint, the second does not.
ROUTES = {"users-me": ME, "own-route": "an application's route"}
CONNECTIONS = (1, 16, 64)
# By number of connections: what is required, and the goal.
OF_CEILING = {
    "users-me": ((0.35, 0.42), (0.55, 0.65), (0.60, 0.80)),
    "own-route": ((0.35, 0.40), (0.55, 0.60), (0.60, 0.70)),
}
AGAINST_JWT = {
    "users-me": ((0.7, 0.8), (1.1, 1.3), (1.1, 1.6)),
    "own-route": ((0.6, 0.7), (1.1, 1.2), (1.1, 1.3)),
}
GOALS = [
    *(
        at_least(
            f"{route}.of_ceiling.requests.{connections}",
            f"{name}, relative to the same route without authentication, {connections} connections",
            *limits,
        )
        for route, name in ROUTES.items()
        for connections, limits in zip(CONNECTIONS, OF_CEILING[route], strict=True)
    ),
    *(
        at_least(
            f"{route}.against.jwt.{connections}",
            f"{name}, relative to stateless PyJWT of the same shape, {connections} connections",
            *limits,
        )
        for route, name in ROUTES.items()
        for connections, limits in zip(CONNECTIONS, AGAINST_JWT[route], strict=True)
    ),
    *(
        at_least(f"users-me.against.{peer}.16", f"{ME}, relative to {name}, 16 connections", 8, 10)
        for peer, name in (
            ("fastapi-users", "fastapi-users DatabaseStrategy"),
            ("knox", "django-rest-knox"),
        )
    ),
    *(
        at_least(
            f"{target}.of_ceiling.requests.64",
            f"`{path}`, relative to the FastAPI route without authentication, 64 connections",
            1.0,
            goal,
        )
        for target, path, goal in (("verify", "/verify", 1.3), ("introspect", "/introspect", 1.0))
    ),
    at_most(
        "users-me.postgres_cpu.64",
        "PostgreSQL's CPU at 64 connections, s per 1,000 requests",
        0.06,
        0.04,
    ),
    at_most(
        "users-me.of_ceiling.p99.16",
        f"{ME}: p99 at 16 connections, relative to that route",
        2.5,
        1.5,
    ),
    at_most("counterfoil.memory", "memory of a worker under load, MB", 110, 100),
    at_most("counterfoil.seconds_to_serve", "time to start, s", 2.5, 1.5),
    at_least(
        "growth.of_smallest", "requests at 10 million tokens, relative to 10 thousand", 0.8, 0.9
    ),
    at_most("pruning.ended.seconds", "deletion of 100,000 ended sessions of 10 million, s", 40, 20),
    at_most("pruning.scan.seconds", "scan of 10 million sessions for old epochs, s", 40, 20),
    at_most("pruning.of_calm.p50", "median latency while the service prunes, relative", 2.0, 1.5),
    at_least("pruning.hot_share", "updates of `last_used_at` that change no index", 0.8, 0.9),
    at_least("login.of_bcrypt", "logins, relative to bcrypt alone on the same cores", 0.9, 0.95),
    at_most("revocation.late", "responses 200 to requests that began after the revocation", 0, 0),
]


def measured_goals(figures: Figures) -> Iterable[tuple[Goal, Verdict]]:
    """The goals whose figures have been measured."""
    for goal in GOALS:
        if goal.figure in figures:
            yield goal, goal.verdict(figures[goal.figure].median)


def missed(figures: Figures) -> list[str]:
    return [goal.text for goal, verdict in measured_goals(figures) if verdict == "missed"]
