"""What stands in place of the running service until the lifespan of its application has begun."""

from typing import Any, NoReturn

from counterfoil.errors import DatabaseUnavailable


class NotStarted(DatabaseUnavailable):
    """A request has come although the lifespan of the application is not running.

    A server runs it, but not that of an application that is mounted in another one.
    """

    code = "not_started"
    detail = "This service has not been started."

    def __init__(self) -> None:
        super().__init__(
            "the lifespan of Counterfoil's application is not running: in a test, run it; "
            "in place of app.mount(prefix, create_app()), use api.attach(app, prefix)"
        )


class _NotStarted:
    """In place of the service, and of the resolver of tokens."""

    max_staleness_seconds = 0.0

    def __getattr__(self, name: str) -> NoReturn:
        raise NotStarted


NOT_STARTED: Any = _NotStarted()
