"""The options that stand before a command: the version, and a file of settings."""

from pathlib import Path
from typing import Annotated

import typer
from dotenv import load_dotenv

from counterfoil import __version__


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"counterfoil {__version__}")
        raise typer.Exit


def _read_settings(path: Path | None) -> None:
    """What is in the environment already takes precedence, as it does over `.env`."""
    if path is None:
        return
    try:
        load_dotenv(path, interpolate=False, encoding="utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{path} is not UTF-8") from None


def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print it."),
    ] = False,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            readable=True,
            callback=_read_settings,
            help="A file of settings, such as the EnvironmentFile of a systemd unit.",
        ),
    ] = None,
) -> None:
    """Access tokens that can be revoked instantly."""
