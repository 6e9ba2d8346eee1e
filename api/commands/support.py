"""What every command needs: the settings, a database, and one line for whatever goes wrong."""

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from api.settings import Settings, load
from authentication.accounts import users
from authentication.emails import LoginName
from authentication.errors import NotFound
from authentication.importing.rows import UnreadableFile
from authentication.mail.notices import Notices
from authentication.mail.outbox import Outbox
from authentication.mail.settings import MailSettings
from authentication.settings import AuthenticationSettings
from counterfoil.errors import CounterfoilError, DatabaseUnavailable
from database import limits, revisions
from database.engine import deadlines
from database.engine.session import Database
from database.errors import UnsuitableDatabase, reason_of
from database.models import User
from database.settings import WRONG_SETTINGS_STATUS, DatabaseSettings, InvalidSettings

BEHIND = "the database is behind the newest migration: run `python api.py migrate`"

WHO = "E-mail, username or id. Digits alone are always an id."
UserArgument = Annotated[str, typer.Argument(metavar="USER", help=WHO)]
UserOption = Annotated[str | None, typer.Option(help=WHO)]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@contextmanager
def settings() -> Iterator[Settings]:
    """The settings; and what goes wrong in the block becomes one line and exit status 1.

    A wrong setting, of this layer or another, exits with status 3, as it does under any server.
    """
    try:
        loaded = load()
    except InvalidSettings as error:
        fail(str(error), status=WRONG_SETTINGS_STATUS)
    origin = " (DATABASE_URL is not set)" if loaded.database.is_default else ""
    typer.echo(f"Database: {loaded.database.address}{origin}", err=True)
    try:
        with deadlines.interruptible():
            yield loaded
    except (CounterfoilError, UnsuitableDatabase, UnreadableFile) as error:
        fail(str(error))
    except UnicodeEncodeError:
        # Where the locale is not UTF-8, Python lets other bytes through in disguise.
        fail("an argument is not UTF-8")
    except (DatabaseUnavailable, DatabaseError) as error:
        fail(_diagnose(loaded.database, error))


@contextmanager
def connected_with_mail() -> Iterator[tuple[Database, MailSettings]]:
    """The database beside the settings of mail. Fails if there is none."""
    with settings() as loaded:
        if not loaded.mail.is_on:
            fail("there is no mail: set COUNTERFOIL_MAIL_URL")
        _demand_file(loaded.database)
        database = Database(loaded.database)
        try:
            yield database, loaded.mail
        finally:
            database.close()


@contextmanager
def connected(*, may_create: bool = False) -> Iterator[tuple[Database, AuthenticationSettings]]:
    """The database beside the settings of the rules. Fails if SQLite has no file yet."""
    with settings() as loaded:
        if not may_create:
            _demand_file(loaded.database)
        database = Database(loaded.database)
        _tell_of_changes(database, loaded)
        try:
            yield database, loaded.authentication
        finally:
            database.close()


def _demand_file(settings: DatabaseSettings) -> None:
    """SQLite would create an empty file of a misspelt name, or in the wrong directory."""
    is_path = settings.url.get_backend_name() == "sqlite" and not settings.url.query
    if is_path and not Path(settings.url.database or "").exists():
        fail(
            f"{settings.address} cannot be used: there is no such file;"
            " run `python api.py migrate` to create it"
        )


def _tell_of_changes(database: Database, settings: Settings) -> None:
    """Have users told what a command does to their accounts. The service sends the mails."""
    if settings.mail.is_on:
        is_limited = settings.authentication.login_throttle
        notices = Notices(Outbox(settings.mail, is_limited=is_limited))
        event.listen(database.sessions, "before_commit", notices.add)


def _diagnose(settings: DatabaseSettings, error: Exception) -> str:
    """What is wrong with the database, or what to do about it."""
    with suppress(DatabaseError, DatabaseUnavailable):
        try:
            if not revisions.is_current(settings.database_url):
                return BEHIND
        except UnsuitableDatabase as unsuitable:
            return str(unsuitable)
    return f"{settings.address} cannot be used: {reason_of(error)}"


def get_user(db: Session, who: str) -> User:
    """By e-mail, username or id. Raises NotFound.

    Digits are always an id: a client can choose the username of an account, and no client its id.
    """
    name = LoginName.parse(who)
    user = _find_by_id(db, name.typed) if _is_number(name.typed) else users.find_by_name(db, name)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _is_number(text: str) -> bool:
    """Also a number with a sign, or in the digits of another script."""
    return unicodedata.normalize("NFKC", text).strip().lstrip("+-").isdecimal()


def _find_by_id(db: Session, text: str) -> User | None:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(limits.MAX_ID)):
        return None
    return users.find_by_id(db, int(text))


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before something is deleted; elsewhere --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --yes, or run this at a terminal")
    typer.confirm(question, abort=True, err=True)


def read_line(what: str) -> str:
    """One line of standard input, without its end."""
    try:
        line = sys.stdin.readline().rstrip("\r\n")
        # Where the locale is not UTF-8, Python lets other bytes through in disguise.
        line.encode()
    except UnicodeError:
        raise typer.BadParameter(f"{what} on standard input is not UTF-8") from None
    return line


def fail(message: str, *, status: int = 1) -> NoReturn:
    """Say why, and exit."""
    typer.echo(f"counterfoil: {message}", err=True)
    raise typer.Exit(status)
