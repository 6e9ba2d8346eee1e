"""The command that prints what a shell needs to complete commands and options."""

from enum import StrEnum
from typing import Annotated, Any

import typer
import typer.completion

PROGRAM = "counterfoil"
# The variable by which a shell asks the program for completions.
VARIABLE = "_COUNTERFOIL_COMPLETE"


# Typer does so itself only where it also adds options of its own, which install for `api.py`.
SHELLS: Any = typer.completion
SHELLS.completion_init()


class Shell(StrEnum):
    """Shells that can be completed in."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print a script by which a shell completes `counterfoil`, which deploy/counterfoil is."""
    script = SHELLS.get_completion_script(
        prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value
    )
    typer.echo(script)
