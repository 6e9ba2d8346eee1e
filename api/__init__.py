"""The HTTP side of Counterfoil. `uvicorn api:app` serves it; `attach` puts it into another app.

`app` is built when it is first asked for, so that commands import this package without it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
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
    # This is the application of the process, and what is imported for it stays. Looking for garbage
    # in it took a fifth of the start, and then, again and again, a quarter of each request.
    with _without_collections():
        from api.application import create_app

        globals()[name] = create_app()
        gc.freeze()
    return globals()[name]


@contextmanager
def _without_collections() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def __dir__() -> list[str]:
    """Tools such as `fastapi dev api.py` look here for the application."""
    return sorted({*globals(), "app", "attach"})
