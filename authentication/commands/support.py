"""What every command needs: the settings, a database, and one line for whatever goes wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from authentication import users
from authentication.errors import CounterfoilError, NotFound
from authentication.settings import AuthenticationSettings
from database.errors import DatabaseUnavailable, reason_of
from database.models import User
from database.session import Database
from database.settings import DatabaseSettings, InvalidSettings, one_clear_line

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="E-mail, username or id.")]
UserOption = Annotated[str | None, typer.Option(help="E-mail, username or id.")]


@contextmanager
def settings() -> Iterator[tuple[DatabaseSettings, AuthenticationSettings]]:
    """The settings; and what goes wrong in the block becomes one line and exit status 1."""
    try:
        with one_clear_line():
            found = DatabaseSettings(), AuthenticationSettings()
        yield found
    except (CounterfoilError, InvalidSettings) as error:
        fail(str(error))
    except (DatabaseUnavailable, OperationalError) as error:
        fail(f"the database cannot be reached: {reason_of(error)}")


@contextmanager
def connected() -> Iterator[tuple[Database, AuthenticationSettings]]:
    """The database beside the settings of the rules."""
    with settings() as (database_settings, authentication_settings):
        database = Database(database_settings)
        try:
            yield database, authentication_settings
        finally:
            database.close()


def get_user(session: Session, who: str) -> User:
    """By e-mail, username or id. Raises NotFound."""
    user = users.find_by_identifier(session, who)
    if user is None and who.isdecimal():
        user = users.find_by_id(session, int(who))
    if user is None:
        raise NotFound("There is no such user.")
    return user


def printable(text: str | None) -> str:
    """Text that a client chose, without what would move a terminal's cursor or divide columns."""
    return "".join(c if c.isprintable() else "?" for c in text) if text else "-"


def fail(message: str) -> NoReturn:
    """Say why, and exit with status 1."""
    typer.echo(f"counterfoil: {message}", err=True)
    raise typer.Exit(1)
