"""Generates docs/reference/commands.md from the help of the commands, with examples."""

from collections.abc import Iterator
from typing import Any

import typer

from api.commands.cli import cli
from api.commands.serve import serve
from harness.server import REPOSITORY
from scripts.docs.command_examples import EXAMPLES

REFERENCE = REPOSITORY / "docs" / "reference" / "commands.md"

_HEAD = """\
# Commands

`python api.py` serves; `python api.py COMMAND` runs a command, with the same
[settings](settings.md). `python` is the one of `.venv`, which `scripts/serve` creates. `--help`
after a command shows the same text as this page.

Options that stand before the command: `--version` prints the version, and `--settings-file FILE`
reads settings from a file, such as that of
[the systemd unit](../how-to/deployment.md#with-systemd); the environment takes precedence.

Results go to standard output, one row per line with tabs between the columns; messages go to
standard error, first of all which database is meant. Lists have `--json`, `--limit` and, on a
terminal or with `--headers`, the names of the columns. No command but `migrate`, `serve` and `demo`
creates an SQLite file. The exit status is

| status | meaning |
|---|---|
| 0 | done |
| 1 | rejected, or the database cannot be used; one line on standard error gives the reason |
| 2 | wrong arguments |
| 3 | a setting is wrong; one line on standard error names it |

A user is given by e-mail address, username or id; digits alone are always an id. The actions of
commands are in the audit log with the actor `command`. In the examples `password.txt` has a
password, `token.txt` a token and `key.txt` an API key, one line each, because other users of the
machine could read an argument.

This page is generated from the commands: see [CONTRIBUTING.md](../../CONTRIBUTING.md).
"""


def commands() -> Iterator[tuple[str, Any]]:
    """All commands by their names, in alphabetical order."""
    yield from sorted(_commands_of(group()))


def group() -> Any:
    """All commands, including `serve`, which api.py adds."""
    all_commands = typer.Typer(add_completion=False)
    all_commands.registered_commands = [*cli.registered_commands]
    all_commands.registered_groups = [*cli.registered_groups]
    all_commands.command()(serve)
    return typer.main.get_command(all_commands)


def _commands_of(found: Any, *names: str) -> Iterator[tuple[str, Any]]:
    for name, command in found.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield " ".join([*names, name]), command
            yield from _commands_of(command, *names, name)
        else:
            yield " ".join([*names, name]), command


def reference() -> str:
    """The text of the page."""
    return _HEAD + "".join(_section(name, command) for name, command in commands())


def _section(name: str, command: Any) -> str:
    text = f"\n## {name}\n\n{command.help.strip()}\n\n"
    if command.params:
        text += "| argument | meaning |\n|---|---|\n"
        text += "".join(f"| {_name(one)} | {_explanation(one)} |\n" for one in command.params)
        text += "\n"
    return f"{text}```sh\n{EXAMPLES[name]}\n```\n"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    names = "`, `".join([*parameter.opts, *parameter.secondary_opts])
    return f"`{names}`" if _is_flag(parameter) else f"`{names} {_value(parameter)}`"


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def _value(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _explanation(parameter: Any) -> str:
    sentences = [parameter.help] if parameter.help else []
    if parameter.min is not None or parameter.max is not None:
        bounds = {"From": parameter.min, "up to": parameter.max}
        known = [f"{word} {bound:,}" for word, bound in bounds.items() if bound is not None]
        sentences.append(" ".join(known) + ".")
    if not _is_flag(parameter) and parameter.default not in (None, ()):
        sentences.append(f"Default: `{parameter.default}`.")
    return " ".join(sentences)
