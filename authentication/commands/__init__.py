"""The commands of an administrator: results on stdout, talk on stderr, exit status 0, 1 or 2."""

import typer

from authentication.commands import maintenance, sessions, users

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
for command in (
    maintenance.migrate,
    users.create_user,
    users.set_password,
    users.disable_user,
    users.enable_user,
    maintenance.prune,
    maintenance.check,
):
    cli.command()(command)

sessions_cli = typer.Typer(help="List and end sessions.")
sessions_cli.command("list")(sessions.list_sessions)
sessions_cli.command("revoke")(sessions.revoke_sessions)
cli.add_typer(sessions_cli, name="sessions")

__all__ = ["cli"]
