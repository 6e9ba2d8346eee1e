"""The commands of an administrator: results on stdout, talk on stderr, exit status 0, 1 or 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn
from uuid import UUID

import typer
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from authentication import maintenance, sessions, users
from authentication.audit import COMMAND
from authentication.errors import CounterfoilError, NotFound
from authentication.passwords import PasswordHasher, refuse_weak
from authentication.settings import AuthenticationSettings
from authentication.users import Registration
from database import revisions
from database.errors import DatabaseUnavailable, reason_of
from database.models import User
from database.session import Database
from database.settings import DatabaseSettings, InvalidSettings, one_clear_line

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
sessions_cli = typer.Typer(help="List and end sessions.")
cli.add_typer(sessions_cli, name="sessions")

WhoArgument = Annotated[str, typer.Argument(metavar="USER", help="E-mail, username or id.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
KeepDays = Annotated[int, typer.Option(min=0, help="Keep what ended in the last days.")]


@cli.command()
def migrate() -> None:
    """Bring the tables to the newest migration. Safe to run from several places at once."""
    # alembic takes a while to import, and no other command needs it.
    from database import migrations

    with _settings() as (database, _):
        migrations.upgrade(database.database_url)
        typer.echo("The tables are at the newest migration.", err=True)


@cli.command()
def create_user(
    email: str,
    name: Annotated[str | None, typer.Option(help="Default: what precedes the @.")] = None,
    username: Annotated[str | None, typer.Option()] = None,
    role: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Create a user. Asks for the password at a terminal."""
    password = _read_password(password_stdin)
    roles = tuple(dict.fromkeys([users.DEFAULT_ROLE, *(role or [])]))
    registration = Registration(
        email=email,
        password=password,
        name=name or email.partition("@")[0],
        username=username,
        roles=roles,
    )
    with _settings() as (database_settings, settings), _database(database_settings) as database:
        address = users.check_registration(registration, settings)
        hashed = PasswordHasher(settings).hash(password)
        with database.transaction() as session:
            user = users.create(session, registration, address, hashed, origin=COMMAND)
        typer.echo(user.id)
        typer.echo(f"Created {user.email} with the roles {', '.join(sorted(roles))}.", err=True)


@cli.command()
def set_password(who: WhoArgument, password_stdin: PasswordStdin = False) -> None:
    """Set a user's password and end all their sessions."""
    password = _read_password(password_stdin)
    with _settings() as (database_settings, settings), _database(database_settings) as database:
        refuse_weak(password, settings=settings)
        hashed = PasswordHasher(settings).hash(password)
        with database.transaction() as session:
            user = _get_user(session, who)
            users.store_password(session, user, hashed, origin=COMMAND)
        typer.echo(f"The password of {user.email} is set; their sessions have ended.", err=True)


@cli.command()
def disable_user(who: WhoArgument) -> None:
    """Disable a user. Their sessions and API keys are refused from now on."""
    _set_active(who, active=False)


@cli.command()
def enable_user(who: WhoArgument) -> None:
    """Enable a user again. Sessions that were ended stay ended."""
    _set_active(who, active=True)


@cli.command()
def prune(
    keep_days: KeepDays = 7,
    dry_run: Annotated[bool, typer.Option(help="Only say how many rows would go.")] = False,
) -> None:
    """Remove sessions, tokens and API keys that ended long ago, in small batches."""
    with _settings() as (database_settings, _), _database(database_settings) as database:
        counts = maintenance.count_prunable(database, keep_days=keep_days)
        if not dry_run:
            total = sum(counts.values())
            counts = dict.fromkeys(counts, 0)
            with typer.progressbar(length=total, label="Pruning", file=sys.stderr) as bar:
                for progress in maintenance.prune(database, keep_days=keep_days):
                    counts[progress.table] += progress.rows
                    bar.update(progress.rows)
        for table, rows in counts.items():
            typer.echo(f"{table}\t{rows}")


@cli.command()
def check() -> None:
    """Check the settings, the connection to the database and the migrations."""
    with _settings() as (database_settings, settings), _database(database_settings) as database:
        with database.transaction(read_only=True) as session:
            session.connection()
        if not revisions.is_current(database_settings.database_url):
            _fail("the database is behind the newest migration: run `python api.py migrate`")
        with database.transaction(read_only=True) as session:
            if not users.has_administrator(session):
                typer.echo("warning: there is no administrator yet", err=True)
        if settings.bcrypt_rounds < 12:
            typer.echo("warning: BCRYPT_ROUNDS below 12 is for tests", err=True)
        typer.echo("ok")


@sessions_cli.command("list")
def list_sessions(
    user: Annotated[str | None, typer.Option(help="E-mail, username or id.")] = None,
) -> None:
    """List live sessions, newest first: id, user, client, address, last used, until."""
    with (
        _settings() as (settings, _),
        _database(settings) as database,
        database.transaction(read_only=True) as session,
    ):
        user_id = _get_user(session, user).id if user else None
        for login, owner in sessions.list_everywhere(session, user_id=user_id):
            times = f"{login.last_used_at:%Y-%m-%d %H:%M}\t{login.expires_at:%Y-%m-%d %H:%M}"
            origin = f"{login.client_id or '-'}\t{login.ip or '-'}"
            typer.echo(f"{login.id}\t{owner.email}\t{origin}\t{times}")


@sessions_cli.command("revoke")
def revoke_sessions(
    session_id: Annotated[UUID | None, typer.Option("--id", help="One session.")] = None,
    user: Annotated[str | None, typer.Option(help="All sessions of a user.")] = None,
    token: Annotated[
        str | None, typer.Option(help="The session of a token; - reads it from standard input.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every session of every user.")] = False,
) -> None:
    """End sessions. Prints how many were ended. The next request of each is refused."""
    if sum([session_id is not None, user is not None, token is not None, everyone]) != 1:
        raise typer.BadParameter("give one of --id, --user, --token and --all")
    with _settings() as (settings, _), _database(settings) as database:
        with database.transaction() as session:
            if everyone:
                ended = sessions.end_everywhere(session, origin=COMMAND, reason="command")
            elif user is not None:
                user_id = _get_user(session, user).id
                ended = sessions.end_all(session, user_id, origin=COMMAND, reason="command")
            else:
                found = session_id or _session_of(session, token or "")
                sessions.end(session, found, user_id=None, origin=COMMAND, reason="command")
                ended = 1
        typer.echo(ended)


def _session_of(session: Session, token: str) -> UUID:
    text = sys.stdin.readline().strip() if token == "-" else token
    return sessions.get_id_by_token(session, text)


def _set_active(who: str, *, active: bool) -> None:
    with _settings() as (settings, _), _database(settings) as database:
        with database.transaction() as session:
            user = _get_user(session, who)
            users.set_active(session, user.id, active=active, origin=COMMAND)
        typer.echo(f"{user.email} is {'enabled' if active else 'disabled'}.", err=True)


def _get_user(session: Session, who: str) -> User:
    user = users.find_by_identifier(session, who)
    if user is None and who.isdecimal():
        user = users.find_by_id(session, int(who))
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --password-stdin, or run this at a terminal")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


@contextmanager
def _settings() -> Iterator[tuple[DatabaseSettings, AuthenticationSettings]]:
    """The settings; and what goes wrong in the block becomes one line and exit status 1."""
    try:
        with one_clear_line():
            settings = DatabaseSettings(), AuthenticationSettings()
        yield settings
    except (CounterfoilError, InvalidSettings) as error:
        _fail(str(error))
    except (DatabaseUnavailable, OperationalError) as error:
        _fail(f"the database cannot be reached: {reason_of(error)}")


@contextmanager
def _database(settings: DatabaseSettings) -> Iterator[Database]:
    database = Database(settings)
    try:
        yield database
    finally:
        database.close()


def _fail(message: str) -> NoReturn:
    typer.echo(f"counterfoil: {message}", err=True)
    raise typer.Exit(1)
