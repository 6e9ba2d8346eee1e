"""What the database layer raises, whatever driver is below it."""


class DatabaseUnavailable(Exception):
    """The database is down, too slow or too busy to answer within the deadline.

    A write that raises this may have been committed: the answer to COMMIT can be lost on its way.
    """
