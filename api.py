"""Starts Counterfoil: `python api.py` serves, `python api.py COMMAND` runs a command."""

import sys

if __name__ == "__main__":
    # Not above: every worker imports this file before it can answer for itself, and uvicorn takes
    # one that does not answer for dead.
    from api.commands import completion
    from api.commands.cli import cli
    from api.commands.serve import serve

    cli.command()(serve)
    cli(sys.argv[1:] or ["serve"], complete_var=completion.VARIABLE)
