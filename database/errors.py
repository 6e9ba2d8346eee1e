"""What the database layer raises, whatever driver is below it."""


class DatabaseUnavailable(Exception):
    """The database is down, too slow or too busy to answer within the deadline.

    A write that raises this may have been committed: the answer to COMMIT can be lost on its way.
    """


def reason_of(error: BaseException) -> str:
    """The driver's first line, which tells a closed port from a wrong password and quotes none."""
    failure = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
    return str(getattr(failure, "orig", None) or error).partition("\n")[0]
