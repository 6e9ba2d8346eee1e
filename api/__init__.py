"""The HTTP side of Counterfoil. `uvicorn api:app` serves it; `attach` puts it into another app.

`app` is built when it is first asked for, so that commands import this package without it.
"""

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.attachment import attach as attach

    app: FastAPI


def __getattr__(name: str) -> object:
    """Python calls this for a name that the module does not have yet (PEP 562)."""
    if name == "attach":
        from api.attachment import attach

        return attach
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from api.application import create_app

    globals()[name] = create_app()
    # This is the application of the process, and what was imported for it stays. Looking for
    # garbage in it, again and again, took a quarter of the time of each request.
    gc.collect()
    gc.freeze()
    return globals()[name]


def __dir__() -> list[str]:
    """Tools such as `fastapi dev api.py` look here for the application."""
    return sorted({*globals(), "app", "attach"})
