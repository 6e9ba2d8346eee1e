"""Starts Counterfoil: `python api.py` serves, `python api.py COMMAND` runs a command."""

import sys

from api.serving import check_settings, serve
from authentication.commands import cli

if __name__ == "__main__":
    cli.callback()(check_settings)
    cli.command()(serve)
    cli(sys.argv[1:] or ["serve"])
