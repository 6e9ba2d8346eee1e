"""Starts Counterfoil: `python api.py` serves, `python api.py COMMAND` runs a command."""

import gc
import sys

if __name__ in {"__main__", "__mp_main__"}:
    # Almost nothing that an import makes is garbage, and looking for it takes a sixth of the time.
    # A worker, which imports this file first, does so again once the application is loaded.
    gc.disable()

if __name__ == "__main__":
    # Not above: every worker imports this file before it can answer for itself, and uvicorn takes
    # one that does not answer for dead.
    from api.commands import completion
    from api.commands.cli import cli
    from api.commands.serve import serve

    gc.freeze()
    gc.enable()
    cli.command()(serve)
    cli(sys.argv[1:] or ["serve"], complete_var=completion.VARIABLE)
