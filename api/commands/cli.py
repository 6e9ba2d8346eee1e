"""The commands of an administrator: results on stdout, messages on stderr, exit status 0 to 3."""

from collections.abc import Callable

import typer

from api.commands import (
    api_keys,
    audit,
    clients,
    completion,
    demo,
    factors,
    mail,
    maintenance,
    moving,
    roles,
    sessions,
    show_settings,
    users,
)
from api.commands.options import options

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
cli.callback()(options)
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
    completion.completion,
):
    cli.command()(command)


def _add_group(name: str, explanation: str, commands: dict[str, Callable[..., None]]) -> None:
    group = typer.Typer(help=explanation)
    for verb, command in commands.items():
        group.command(verb)(command)
    cli.add_typer(group, name=name)


_add_group(
    "users",
    "List, show, create, rename, disable, enable and delete users.",
    {
        "list": users.list_users,
        "show": users.show_user,
        "create": users.create_user,
        "rename": users.rename_user,
        "disable": users.disable_user,
        "enable": users.enable_user,
        "delete": users.delete_user,
        "set-password": users.set_password,
    },
)
_add_group(
    "roles",
    "List, create, change and delete roles, and grant and revoke them.",
    {
        "list": roles.list_roles,
        "create": roles.create_role,
        "change": roles.change_role,
        "delete": roles.delete_role,
        "grant": roles.grant_role,
        "revoke": roles.revoke_role,
    },
)
_add_group(
    "sessions",
    "List and revoke sessions.",
    {"list": sessions.list_sessions, "revoke": sessions.revoke_sessions},
)
_add_group(
    "api-keys",
    "List, create and revoke API keys.",
    {
        "list": api_keys.list_api_keys,
        "create": api_keys.create_api_key,
        "revoke": api_keys.revoke_api_keys,
    },
)
_add_group(
    "clients",
    "Register clients, and change, disable or delete them.",
    {
        "create": clients.create_client,
        "list": clients.list_clients,
        "change": clients.change_client,
        "disable": clients.disable_client,
        "enable": clients.enable_client,
        "rotate-secret": clients.rotate_client_secret,
        "delete": clients.delete_client,
    },
)
_add_group(
    "factors",
    "List and remove the second factors of users.",
    {"list": factors.list_factors, "remove": factors.remove_factors},
)
_add_group(
    "mail",
    "Test the mail server, and see what became of mails.",
    {"test": mail.send_test_mail, "list": mail.list_mails, "retry": mail.retry_mails},
)
_add_group("audit", "Read the audit log.", {"list": audit.list_events})
_add_group("settings", "Show the settings in effect.", {"show": show_settings.show_settings})

secret_key_cli = typer.Typer(invoke_without_command=True, callback=factors.make_secret_key)
secret_key_cli.command("rotate")(factors.rotate_secret_keys)
cli.add_typer(secret_key_cli, name="secret-key")

__all__ = ["cli"]
