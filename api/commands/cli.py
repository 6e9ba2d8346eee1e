"""The commands of an administrator: results on stdout, messages on stderr, exit status 0 to 3."""

import typer

from api.commands import api_keys, demo, factors, mail, maintenance, moving, sessions, users

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
for command in (
    maintenance.migrate,
    users.create_user,
    users.set_password,
    users.disable_user,
    users.enable_user,
    api_keys.create_api_key,
    moving.import_users,
    moving.import_tokens,
    maintenance.prune,
    maintenance.check,
    demo.demo,
):
    cli.command()(command)

sessions_cli = typer.Typer(help="List and revoke sessions.")
sessions_cli.command("list")(sessions.list_sessions)
sessions_cli.command("revoke")(sessions.revoke_sessions)
cli.add_typer(sessions_cli, name="sessions")

api_keys_cli = typer.Typer(help="List and revoke API keys.")
api_keys_cli.command("list")(api_keys.list_api_keys)
api_keys_cli.command("revoke")(api_keys.revoke_api_keys)
cli.add_typer(api_keys_cli, name="api-keys")

factors_cli = typer.Typer(help="List and remove the second factors of users.")
factors_cli.command("list")(factors.list_factors)
factors_cli.command("remove")(factors.remove_factors)
cli.add_typer(factors_cli, name="factors")

secret_key_cli = typer.Typer(invoke_without_command=True, callback=factors.make_secret_key)
secret_key_cli.command("rotate")(factors.rotate_secret_keys)
cli.add_typer(secret_key_cli, name="secret-key")

mail_cli = typer.Typer(help="Test the mail server, and see what became of mails.")
mail_cli.command("test")(mail.send_test_mail)
mail_cli.command("list")(mail.list_mails)
mail_cli.command("retry")(mail.retry_mails)
cli.add_typer(mail_cli, name="mail")

__all__ = ["cli"]
